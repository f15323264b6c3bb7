//! Whom we trust over TLS.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// TLS by ring, whatever provider the process has installed. Trusts the authorities in the PEM file `ca`, else the
/// system's. Where no TLS is spoken (not `secure`) nothing is read, so that plain HTTP works on a system without any.
///
/// # Errors
/// A sentence that says what is missing.
pub(super) fn client_config(secure: bool, ca: Option<&Path>) -> Result<ClientConfig, String> {
    let roots = match (secure, ca) {
        (false, _) => RootCertStore::empty(),
        (true, Some(path)) => from_file(path)?,
        (true, None) => from_system()?,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("cannot set up TLS: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

fn from_file(path: &Path) -> Result<RootCertStore, String> {
    let wrong = |what: String| format!("`ca` = {}: {what}", path.display());
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(|error| wrong(format!("cannot be read ({error}): correct the path or the file's rights")))?;
    for certificate in certificates {
        let certificate =
            certificate.map_err(|error| wrong(format!("is not PEM ({error}): write it anew")))?;
        roots
            .add(certificate)
            .map_err(|error| wrong(format!("holds a certificate that is no authority ({error})")))?;
    }
    if roots.is_empty() {
        return Err(wrong("holds no certificate: it must have a block `BEGIN CERTIFICATE`".into()));
    }
    Ok(roots)
}

fn from_system() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    // Among a system's hundred authorities some may be unreadable or odd; the others do.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(
            "the system has no certificate authorities, so nobody can be trusted: install the package \
                    `ca-certificates`, or set `ca`"
                .into(),
        );
    }
    Ok(roots)
}
