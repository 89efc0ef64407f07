//! TLS at the listener, with HTTP/2 by ALPN; and the authorities that clients of `https://` trust.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::trust::TrustSettings;

/// The first byte of every TLS handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

/// The certificate of the listener.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "TLS")]
pub struct TlsSettings {
    /// A PEM file with the certificate and those that vouch for it. With it, TLS is spoken, and clear
    /// text with this machine alone; HTTP/2 by ALPN. Read at the start
    #[arg(
        long,
        env = "TLS_CERTIFICATE",
        value_name = "FILE",
        requires = "tls_key"
    )]
    pub tls_certificate: Option<PathBuf>,

    /// A PEM file with the certificate's private key
    #[arg(
        long,
        env = "TLS_KEY",
        value_name = "FILE",
        requires = "tls_certificate"
    )]
    pub tls_key: Option<PathBuf>,
}

/// How connections are met: in clear, or where there is a certificate by TLS.
#[derive(Debug, Clone, Default)]
pub struct Tls(Option<Arc<ServerConfig>>);

/// A connection that may speak HTTP now.
pub(super) enum Met {
    Clear(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl Tls {
    /// Reads the certificate and its key, where the settings name them.
    pub fn read(settings: &TlsSettings) -> anyhow::Result<Self> {
        let (Some(certificate), Some(key)) = (&settings.tls_certificate, &settings.tls_key) else {
            return Ok(Self(None));
        };
        let chain = certificates(certificate)
            .with_context(|| format!("TLS_CERTIFICATE: cannot read {}", certificate.display()))?;
        let key = PrivateKeyDer::from_pem_file(key)
            .with_context(|| format!("TLS_KEY: cannot read {}", key.display()))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .context("TLS_CERTIFICATE and TLS_KEY do not belong together")?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Some(Arc::new(config))))
    }

    /// Whether `peer` is answered in clear: with TLS set, only this machine is, for its health checks.
    #[must_use]
    pub fn takes_clear_text(&self, socket: &TcpStream, peer: SocketAddr) -> bool {
        let is_here = || {
            let own = socket.local_addr().map(|own| own.ip().to_canonical());
            let peer = peer.ip().to_canonical();
            peer.is_loopback() || own.is_ok_and(|own| own == peer)
        };
        self.0.is_none() || is_here()
    }

    /// Shakes hands. It has no time-out of its own.
    pub(super) async fn meet(&self, socket: TcpStream, peer: SocketAddr) -> io::Result<Met> {
        let Some(config) = &self.0 else {
            return Ok(Met::Clear(socket));
        };
        let mut first = [0];
        if socket.peek(&mut first).await? == 1 && first == [HANDSHAKE] {
            let acceptor = TlsAcceptor::from(Arc::clone(config));
            let stream = acceptor.accept(socket).await?;
            return Ok(Met::Encrypted(Box::new(stream)));
        }
        if self.takes_clear_text(&socket, peer) {
            return Ok(Met::Clear(socket));
        }
        Err(io::Error::other("clear text, where TLS is spoken"))
    }
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let chain = CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>()?;
    anyhow::ensure!(!chain.is_empty(), "there is no certificate in it");
    Ok(chain)
}

/// The beginning of a client that trusts as the settings say.
pub fn https_client(trust: &TrustSettings) -> reqwest::Result<reqwest::ClientBuilder> {
    let client = reqwest::Client::builder();
    let Some(pem) = trust.pem() else {
        return Ok(client);
    };
    let own = reqwest::Certificate::from_pem_bundle(pem.as_bytes())?;
    Ok(client.tls_certs_merge(own))
}
