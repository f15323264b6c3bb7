//! TLS in front of a server that speaks none, as in front of cloud functions.

use crate::port;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

/// A front that shows one certificate at a time. Ends with the value.
#[derive(Debug)]
pub struct Front {
    address: SocketAddr,
    target: SocketAddr,
    server: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Front {
    /// Before the server at `port` on this machine, with the certificate and key in these files.
    ///
    /// # Panics
    /// When it cannot listen, or the files do not fit.
    pub fn of(port: u16, files: (&Path, &Path)) -> Front {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut front = Front { address: local(port::reserve()), target: local(port), server: None };
        front.show(files);
        front
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Begins anew with another certificate; connections end.
    ///
    /// # Panics
    /// When it cannot listen, or the files do not fit.
    pub fn show(&mut self, (cert, key): (&Path, &Path)) {
        self.leave();
        let chain = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(key).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a certificate and its key");
        let (address, target) = (self.address, self.target);
        let (stop, stopped) = oneshot::channel();
        let (bound, is_bound) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::bind(address).await.expect("a port");
                bound.send(()).expect("somebody who waits");
                tokio::select! {
                    () = serve(&listener, TlsAcceptor::from(Arc::new(config)), target) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        is_bound.recv().expect("a front that listens");
        self.server = Some((stop, thread));
    }

    fn leave(&mut self) {
        if let Some((stop, thread)) = self.server.take() {
            let _gone_already = stop.send(());
            let _panicked = thread.join();
        }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.leave();
    }
}

async fn serve(listener: &TcpListener, acceptor: TlsAcceptor, target: SocketAddr) {
    while let Ok((client, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // A client that does not trust us ends the handshake: that is what tests are about.
            let Ok(mut client) = acceptor.accept(client).await else { return };
            let Ok(mut server) = TcpStream::connect(target).await else { return };
            let _ended = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        });
    }
}
