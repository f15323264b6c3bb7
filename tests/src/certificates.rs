//! Certificates made for one test, in a folder that ends with it.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// An authority and what it has signed.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

impl Authority {
    /// A new one, of this name.
    ///
    /// # Panics
    /// When keys cannot be made.
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        let dir = tempfile::tempdir().expect("a folder for certificates");
        let authority = Authority { issuer, dir };
        fs::write(authority.ca(), authority.pem()).expect("a certificate on disk");
        authority
    }

    /// Its own certificate, as a file.
    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Its own certificate, as text.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Signs a certificate for `name` that ends with the year: its file and that of its key, the same ones each time.
    ///
    /// # Panics
    /// When keys cannot be made or written.
    pub fn certify(&self, name: &str, year: i32) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.not_after = rcgen::date_time_ymd(year, 12, 31);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let file = |what: &str| self.dir.path().join(format!("{name}.{what}"));
        fs::write(file("cert"), certificate.pem()).expect("a certificate on disk");
        fs::write(file("key"), key.serialize_pem()).expect("a key on disk");
        (file("cert"), file("key"))
    }
}
