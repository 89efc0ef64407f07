//! Whose certificates are taken when this process connects to a server, and words for one that is
//! refused.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Whom to trust.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "TLS")]
pub struct TrustSettings {
    /// A PEM file with certificate authorities of your own, for RabbitMQ (`amqps://`), PostgreSQL
    /// (`sslmode=verify-full`), Redis (`rediss://`) and whatever is asked over `https://`. They are
    /// trusted beside those that are known anyway; for Redis instead of them
    #[arg(long, env = "TLS_CA", value_name = "FILE", value_parser = |path: &str| Authorities::read(path.as_ref()))]
    pub tls_ca: Option<Authorities>,
}

impl TrustSettings {
    /// The authorities as PEM, where there are any of our own.
    #[must_use]
    pub fn pem(&self) -> Option<&str> {
        self.tls_ca.as_ref().map(|authorities| &*authorities.0)
    }
}

/// Certificate authorities, as PEM that has been read and found good.
#[derive(Debug, Clone)]
pub struct Authorities(Arc<str>);

impl Authorities {
    fn read(path: &Path) -> Result<Self, String> {
        let pem = std::fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            certificate
                .map_err(|error| error.to_string())
                .and_then(|certificate| roots.add(certificate).map_err(|error| error.to_string()))
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        if roots.is_empty() {
            return Err(format!("{}: there is no certificate in it", path.display()));
        }
        Ok(Self(pem.into()))
    }
}

/// Why there is no connection to a server: of a certificate that was refused, with what to do.
#[must_use]
pub fn told(error: &(dyn Error + 'static)) -> String {
    refused_certificate(error).unwrap_or_else(|| error.to_string())
}

/// Why a server's certificate was refused, and what to do; `None` where something else went wrong.
#[must_use]
pub fn refused_certificate(error: &(dyn Error + 'static)) -> Option<String> {
    // Each library wraps the cause in types of its own, and all of them let its words through.
    let text = error.to_string();
    let Some((_, reason)) = text.split_once("invalid peer certificate: ") else {
        return refused_certificate(error.source()?);
    };
    let advice = advice(reason);
    Some(format!(
        "the server's certificate is refused: {reason} ({advice})"
    ))
}

fn advice(reason: &str) -> &'static str {
    if reason.starts_with("UnknownIssuer") {
        "TLS_CA names the authorities to trust beside those of the Web"
    } else if reason.contains("expired") {
        "it must be renewed at the server"
    } else if reason.contains("name") {
        "the URL must call the server by a name that its certificate holds"
    } else {
        "the server needs another one"
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use rustls::CertificateError;
    use rustls::pki_types::{ServerName, UnixTime};

    use super::{Authorities, refused_certificate, told};

    #[test]
    fn a_file_without_good_certificates_is_refused_by_name() {
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (text, word) in [
            ("", "there is no certificate in it"),
            ("hello", "there is no certificate in it"),
            (broken, "BadEncoding"),
        ] {
            let file = tempfile::NamedTempFile::new().expect("a file");
            std::fs::write(file.path(), text).expect("room");
            let error = Authorities::read(file.path()).expect_err(word);
            let path = file.path().display().to_string();
            assert!(error.starts_with(&path) && error.contains(word), "{error}");
        }
        let error = Authorities::read("/nowhere/at/all".as_ref()).expect_err("no file");
        assert!(error.contains("No such file"), "{error}");
    }

    #[test]
    fn a_refused_certificate_is_told_with_what_to_do_and_other_errors_as_they_are() {
        let refused = |error: CertificateError| {
            let error = rustls::Error::InvalidCertificate(error);
            told(&io::Error::new(io::ErrorKind::InvalidData, error))
        };
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let expired = CertificateError::ExpiredContext {
            time: at(2),
            not_after: at(1),
        };
        let of_another = CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("db").expect("a name"),
            presented: vec![],
        };
        for (error, word) in [
            (CertificateError::UnknownIssuer, "TLS_CA"),
            (expired, "renewed"),
            (of_another, "the URL must call"),
            (CertificateError::Revoked, "another one"),
        ] {
            let text = refused(error);
            assert!(text.contains("is refused") && text.contains(word), "{text}");
        }
        let other = io::Error::other("gone");
        assert_eq!(refused_certificate(&other), None);
        assert_eq!(told(&other), "gone");
    }
}
