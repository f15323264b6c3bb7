//! TLS, both ends ours, with certificates made here.

use super::{Bench, listen, mqtt};
use crate::config::model::{Listen, Mqtt, Protocol, Tls};
use crate::mqtt::{Inherited, Listener, run_source};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::path::{Path, PathBuf};

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: tempfile::TempDir,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca"), issuer.pem()).unwrap();
        Authority { issuer, directory }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A certificate for `name`, as the files `name.cert` and `name.key`.
    fn certify(&self, name: &str) -> (Option<PathBuf>, Option<PathBuf>) {
        self.certify_until(name, 4_096)
    }

    /// The same, which ends with this year.
    fn certify_until(&self, name: &str, year: i32) -> (Option<PathBuf>, Option<PathBuf>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 12, 31);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (cert_file, key_file) = (self.file(&format!("{name}.cert")), self.file(&format!("{name}.key")));
        std::fs::write(&cert_file, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        (Some(cert_file), Some(key_file))
    }
}

async fn server(bench: &Bench, tls: Tls) -> u16 {
    let listener =
        Listener::bind(Listen { tls: Some(tls), ..listen() }, &Inherited::default()).await.unwrap();
    let port = listener.local_addr().port();
    tokio::spawn(listener.serve(bench.context.clone(), bench.stop.subscribe()));
    port
}

fn client(port: u16, ca: &Path, (cert, key): (Option<PathBuf>, Option<PathBuf>)) -> Mqtt {
    let tls = Tls { ca: Some(ca.into()), cert, key };
    // A listener keeps no sessions.
    Mqtt { tls: Some(tls), host: "localhost".into(), session_expiry: None, ..mqtt(port, Protocol::V5) }
}

/// Our client at our listener: no messages flow, but a session does, with its subscription granted.
#[tokio::test]
async fn a_session_over_tls_with_client_certificates() {
    let authority = Authority::new();
    let ca = authority.file("ca");
    let (cert, key) = authority.certify("localhost");
    let house = Bench::new();
    let port = server(&house, Tls { ca: Some(ca.clone()), cert, key }).await;

    let mut guest = Bench::new();
    let cfg = client(port, &ca, authority.certify("gateway"));
    tokio::spawn(run_source(cfg, guest.context.clone(), guest.stop.subscribe()));
    guest.opened().await;
    assert!(matches!(guest.input().await, crate::ingest::intake::Input::Drained { .. }));
    assert_eq!(guest.problem(), None);
    assert_eq!(house.context.state.snapshot().clients, 1);
}

#[tokio::test]
async fn a_stranger_s_certificate_is_a_problem() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (cert, key) = authority.certify("localhost");
    let house = Bench::new();
    let port = server(&house, Tls { ca: None, cert, key }).await;
    let guest = Bench::new();
    let cfg = client(port, &stranger.file("ca"), (None, None));
    tokio::spawn(run_source(cfg, guest.context.clone(), guest.stop.subscribe()));
    guest.problem_with("set `ca`").await;
}

/// The text holds no time of day: the second attempt must not be a second problem.
#[tokio::test]
async fn an_expired_certificate_is_one_problem_with_one_text() {
    let authority = Authority::new();
    let (cert, key) = authority.certify_until("localhost", 2_020);
    let house = Bench::new();
    let port = server(&house, Tls { ca: None, cert, key }).await;
    let guest = Bench::new();
    let cfg = client(port, &authority.file("ca"), (None, None));
    tokio::spawn(run_source(cfg, guest.context.clone(), guest.stop.subscribe()));
    let told = guest.problem_with("has expired").await;
    let expected =
        ": its certificate has expired, or the gateway's clock is ahead: renew the one or set the other";
    assert_eq!(told, format!("TLS with localhost:{port} failed{expected}"));
}

#[tokio::test]
async fn files_that_are_missing_are_named() {
    let tls = Tls { ca: None, cert: Some("/nonexistent/cert".into()), key: Some("/nonexistent/key".into()) };
    let error = Listener::bind(Listen { tls: Some(tls), ..listen() }, &Inherited::default())
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("cert") && error.contains("/nonexistent/cert"), "{error}");
}
