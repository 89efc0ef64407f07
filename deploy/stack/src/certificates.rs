//! Throwaway certificates: an authority of a test's own, and what it vouches for.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use uuid::Uuid;

/// A certificate authority that nobody knows.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A server's certificate with its private key, as PEM.
pub struct Identity {
    certificate: String,
    key: String,
}

impl Authority {
    /// Makes one.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = format!("Rosterwire's throwaway authority {}", Uuid::new_v4());
        params.distinguished_name.push(DnType::CommonName, name);
        let made = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self(made))
    }

    /// Its own certificate.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Writes its own certificate into `folder`, for `TLS_CA`.
    ///
    /// # Errors
    /// When there is no room.
    pub fn write(&self, folder: &Path) -> Result<PathBuf> {
        let path = folder.join("authority.pem");
        fs::write(&path, self.pem())?;
        Ok(path)
    }

    /// How a client speaks TLS that trusts it alone.
    ///
    /// # Errors
    /// When the platform has none of the protocol's versions.
    pub fn client_config(&self) -> Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone())?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        Ok(config.with_no_client_auth())
    }

    /// A good certificate for the server `name`.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn vouch(&self, name: &str) -> Result<Identity> {
        self.sign(&CertificateParams::new([name.to_owned()])?)
    }

    /// A certificate for the server `name` that was good once.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn vouched(&self, name: &str) -> Result<Identity> {
        let mut params = CertificateParams::new([name.to_owned()])?;
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Result<Identity> {
        let key = KeyPair::generate()?;
        Ok(Identity {
            certificate: params.signed_by(&key, &self.0)?.pem(),
            key: key.serialize_pem(),
        })
    }
}

impl Identity {
    /// Writes both into `folder`: the certificate first, and the key, which only our user can read.
    ///
    /// # Errors
    /// When there is no room.
    pub fn write(&self, folder: &Path) -> Result<[PathBuf; 2]> {
        fs::create_dir_all(folder)?;
        let folder = folder.canonicalize()?;
        let paths = ["certificate.pem", "key.pem"].map(|name| folder.join(name));
        for (path, text) in paths.iter().zip([&self.certificate, &self.key]) {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .mode(0o600)
                .open(path)?;
            file.write_all(text.as_bytes())?;
        }
        Ok(paths)
    }
}
