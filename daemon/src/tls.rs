//! TLS for clients and listeners: rustls with the ring provider, passed explicitly so that nothing depends on what the
//! process installed as its default.

use crate::config::model::Tls;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file is missing, closed to us, or not PEM.
    #[error("cannot read {what} in {path}: {error}; check the path, its permissions and that it is PEM")]
    Pem {
        /// Which setting.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// What was wrong.
        error: String,
    },
    /// The system has no certificates.
    #[error("the system has no certificate authorities: install the package ca-certificates, or set `ca`")]
    NoRoots,
    /// Only one of the two.
    #[error("`cert` and `key` belong together: set both")]
    Half,
    /// The parts do not make a configuration.
    #[error("TLS refuses these certificates: {0}; check that `key` belongs to `cert`")]
    Rustls(#[from] rustls::Error),
    /// The client authorities cannot be used.
    #[error("client certificates cannot be checked against {path}: {error}")]
    Verifier {
        /// Which file.
        path: PathBuf,
        /// What was wrong.
        error: String,
    },
}

/// What a client needs: the authorities of `ca` or of the system, and its own certificate if it has one.
///
/// # Errors
/// Which file is wrong, and what to do.
pub fn client_config(tls: &Tls) -> Result<Arc<ClientConfig>, TlsError> {
    let roots = match &tls.ca {
        Some(path) => roots_of(path)?,
        None => system_roots()?,
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let config = match own_certificate(tls)? {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

/// What a listener needs: its certificate, and the authorities that client certificates must come from if `ca` is set.
///
/// # Errors
/// Which file is wrong, and what to do.
pub fn server_config(tls: &Tls) -> Result<Arc<ServerConfig>, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = match &tls.ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(roots_of(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider())
                .build()
                .map_err(|error| TlsError::Verifier { path: path.clone(), error: error.to_string() })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let (chain, key) = own_certificate(tls)?.ok_or(TlsError::Half)?;
    Ok(Arc::new(builder.with_single_cert(chain, key)?))
}

/// Why TLS failed and what to do, to stand behind "TLS with … failed". The same text for the same cause, at any time.
/// `plain` and `secure` are the schemes to choose from.
pub fn why(error: &rustls::Error, plain: &str, secure: &str) -> String {
    use rustls::CertificateError as Bad;
    let advice = match error {
        // What rustls says of these two holds the time of day, which would make each attempt a new problem.
        rustls::Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => {
            return ": its certificate has expired, or the gateway's clock is ahead: renew the one or set the other".into();
        }
        rustls::Error::InvalidCertificate(Bad::NotValidYet | Bad::NotValidYetContext { .. }) => {
            return ": its certificate is not valid yet, so the gateway's clock is probably behind: let it synchronise".into();
        }
        rustls::Error::InvalidCertificate(Bad::UnknownIssuer | Bad::BadSignature) => {
            "nobody we trust has signed its certificate: set `ca` to the authority's PEM file; or somebody (a captive \
             portal, a proxy) stands in between"
        }
        rustls::Error::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => {
            "its certificate is for another name: correct the name in `url`, or the certificate"
        }
        rustls::Error::InvalidCertificate(_) => "its certificate is not acceptable: correct it",
        rustls::Error::InvalidMessage(_) => {
            return format!(
                " ({error}): it does not speak TLS: `{plain}://` instead of `{secure}://`, or another port?"
            );
        }
        _ => "no common ground was found: check the server's TLS settings",
    };
    format!(" ({error}): {advice}")
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn roots_of(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("ca", path)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    // Some of a system's authorities are always odd; those that can be read are enough.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(TlsError::NoRoots) } else { Ok(roots) }
}

type Certificate = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn own_certificate(tls: &Tls) -> Result<Option<Certificate>, TlsError> {
    match (&tls.cert, &tls.key) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => {
            let chain = certificates("cert", cert)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::Pem {
                what: "key",
                path: key.clone(),
                error: error.to_string(),
            })?;
            Ok(Some((chain, key)))
        }
        _ => Err(TlsError::Half),
    }
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |error: String| TlsError::Pem { what, path: path.into(), error };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(wrong("there is no certificate in it".into())),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(wrong(error.to_string())),
    }
}
