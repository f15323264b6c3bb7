//! Connections that fail.

use super::*;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::RecvTimeoutError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

#[tokio::test]
async fn a_closed_port_is_waited_for() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = free.local_addr().unwrap();
    drop(free);
    let run = Running::http(batched(format!("http://{addr}/"), 10), 30);
    run.has_problem("refuses connections").await;
    assert!(run.problem().unwrap().contains(&addr.to_string()));
    let server = Server::start_at(addr, |_, _| status(200)).await;
    run.outbox.drained().await;
    assert_eq!(run.outbox.delivered(), ids(0..30));
    assert_eq!(run.problem(), None);
    drop(server);
    run.stop().await;
}

#[tokio::test]
async fn what_was_taken_without_an_answer_comes_again_with_the_same_bytes() {
    let server = Server::start(|number, _| if number < 4 { None } else { status(200) }).await;
    let cfg = Http { timeout: Duration::from_millis(200), ..http(server.url()) };
    let run = Running::http(cfg, 2);
    run.has_problem("gave no answer within 200ms").await;
    run.outbox.drained().await;
    let bodies: Vec<Vec<u8>> = server.received().into_iter().map(|request| request.body).collect();
    assert!(bodies[..5].iter().all(|body| *body == bodies[0]));
    assert_eq!(run.outbox.delivered(), ids(0..2));
    run.stop().await;
}

#[tokio::test]
async fn a_connection_that_breaks_confirms_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let answers: [&[u8]; 4] = [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"fai",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"\x15\x03\x01\x00\x02\x02\x0a not HTTP at all",
    ];
    let server = tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4_096]).await.unwrap();
            stream.write_all(answer).await.unwrap();
        }
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4_096]).await.unwrap();
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    });
    let run = Running::http(http(url), 1);
    run.has_problem("broke before the answer was complete").await;
    run.outbox.drained().await;
    assert_eq!(run.state.snapshot().requests, 5);
    server.await.unwrap();
    run.stop().await;
}

/// That the secret is refused is said by the status, whatever becomes of the body.
#[tokio::test]
async fn a_refusal_that_breaks_off_is_a_refusal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "old").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4_096];
            let length = stream.read(&mut request).await.unwrap();
            let good = String::from_utf8_lossy(&request[..length]).contains("Bearer new");
            let answer = match good {
                true => "HTTP/1.1 204 No Content\r\n\r\n",
                false => "HTTP/1.1 401 Unauthorized\r\ncontent-length: 100\r\n\r\nexp",
            };
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let run = Running::http(Http { auth: Auth::Bearer(Secret::File(path.clone())), ..http(url) }, 1);
    run.has_problem("answered 401: the token").await;
    std::fs::write(&path, "new").unwrap();
    run.outbox.drained().await;
    server.abort();
    run.stop().await;
}

/// Something behind TLS that answers each request so, and how many there were.
pub(super) async fn tls_server(answer: String) -> (SocketAddr, JoinHandle<()>, Arc<AtomicUsize>) {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("certificates/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("certificates/server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            while stream.read(&mut [0; 4_096]).await.is_ok_and(|read| read > 0) {
                counter.fetch_add(1, SeqCst);
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    });
    (addr, task, requests)
}

#[tokio::test]
async fn tls_trusts_the_authority_in_ca_and_says_why_it_does_not() {
    let (addr, server, _) = tls_server("HTTP/1.1 204 No Content\r\n\r\n".into()).await;
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    let url = format!("https://localhost:{}/", addr.port());

    // `ca` is read again at each attempt until TLS works.
    let run = Running::http(Http { tls: Tls { ca: Some(ca.clone()), ..Tls::default() }, ..http(url) }, 3);
    run.has_problem("check the path").await;
    std::fs::write(&ca, "nothing").unwrap();
    run.has_problem("there is no certificate in it").await;
    std::fs::write(&ca, include_bytes!("certificates/server.pem")).unwrap();
    run.has_problem("TLS with localhost:").await;
    std::fs::write(&ca, include_bytes!("certificates/authority.pem")).unwrap();
    run.outbox.drained().await;
    run.stop().await;

    server.abort();

    let plain = Server::start(|_, _| status(200)).await;
    let run = Running::http(
        Http { tls: Tls { ca: Some(ca), ..Tls::default() }, ..http(plain.url().replace("http:", "https:")) },
        1,
    );
    run.has_problem("does not speak TLS").await;
    run.stop().await;
}

/// A pipe that nobody writes to is like a file on a share that hangs: opening it takes for ever.
#[tokio::test]
async fn certificates_that_cannot_be_read_hold_up_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("ca.pem");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Should this thread hang with it, somebody has to end that.
    let (done, waits) = std::sync::mpsc::channel::<()>();
    let rescued = {
        let pipe = pipe.clone();
        std::thread::spawn(move || {
            let mut rescued = false;
            while let Err(RecvTimeoutError::Timeout) = waits.recv_timeout(Duration::from_secs(10)) {
                rescued |= OpenOptions::new().write(true).open(&pipe).is_ok();
            }
            rescued
        })
    };
    let tls = Tls { ca: Some(pipe.clone()), ..Tls::default() };
    let run = Running::http(Http { tls, ..http("https://localhost/".into()) }, 1);
    let plain = Server::start(|_, _| status(204)).await;
    let other = Running::http(http(plain.url()), 3);
    other.outbox.drained().await;
    other.stop().await;
    // That succeeds as soon as somebody reads there, and ends the waiting.
    let mut writer = OpenOptions::new();
    writer.write(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    eventually(|| writer.open(&pipe).is_ok(), || "a reader".into()).await;
    drop(done);
    assert!(!rescued.join().unwrap(), "the runtime's thread hung");
    run.has_problem("there is no certificate in it").await;
    run.stop().await;
}

#[tokio::test]
async fn it_leaves_soon_though_a_request_is_under_way() {
    let server = Server::start(|_, _| None).await;
    let run = Running::http(http(server.url()), 1);
    eventually(|| server.received().len() == 1, || "a request".into()).await;
    let start = Instant::now();
    let outbox = run.outbox.clone();
    run.stop().await;
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(outbox.len(), 1);
}

#[tokio::test]
async fn it_leaves_when_nobody_is_left_to_tell_it_to() {
    let server = Server::start(|_, _| status(200)).await;
    let run = Running::http(http(server.url()), 1);
    run.outbox.drained().await;
    drop(run.leave);
    tokio::time::timeout(Duration::from_secs(10), run.task).await.unwrap().unwrap();
}

/// Where this machine has IPv6.
#[tokio::test]
async fn ipv6() {
    if TcpListener::bind("[::1]:0").await.is_err() {
        return;
    }
    let server = Server::start_at("[::1]:0".parse().unwrap(), |_, _| status(204)).await;
    assert!(server.url().starts_with("http://[::1]:"));
    let run = Running::http(http(server.url()), 3);
    run.outbox.drained().await;
    assert_eq!(server.received().len(), 3);
    run.stop().await;
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_named() {
    // Reserved for this (RFC 6761 §6.4): it resolves nowhere, with a network or without.
    let run = Running::http(http("http://no-such-host.invalid/?code=secret".into()), 1);
    run.has_problem("no-such-host.invalid:80 cannot be resolved").await;
    assert!(!run.problem().unwrap().contains("secret"));
    run.stop().await;
}
