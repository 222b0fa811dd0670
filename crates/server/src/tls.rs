//! TLS by rustls with aws-lc-rs: one certificate, replaced while running.
//!
//! The certificate is read from PEM files and looked up anew for each
//! handshake, so [`Tls::reload`] takes effect for new connections at once and
//! for open ones never. A reload that fails changes nothing.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::{net::TcpStream, signal::unix::Signal};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::{error, info};

/// The ALPN name of HTTP/2 (RFC 9113 section 3.2).
pub(crate) const ALPN_H2: &[u8] = b"h2";

/// Why a certificate can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read, or holds no such PEM section.
    #[error("can't read a PEM {what} from `{}`", path.display())]
    Pem {
        /// `certificate` or `private key`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: pem::Error,
    },
    /// The key does not belong to the certificate, or is of an unknown kind.
    #[error("the key in `{}` does not fit the certificate in `{}`", key.display(), certificate.display())]
    Mismatch {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
        /// What rustls said.
        #[source]
        source: rustls::Error,
    },
    /// The TLS settings were refused.
    #[error("can't set up TLS")]
    Setup(#[source] rustls::Error),
}

/// A certificate with its key, and the TLS settings around it. Clones share
/// the certificate.
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    current: Arc<Current>,
}

/// A std lock: held for a pointer's copy, never across an await.
#[derive(Debug)]
struct Current {
    certificate: PathBuf,
    key: PathBuf,
    pair: RwLock<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let pair = self.pair.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&pair))
    }
}

impl Tls {
    /// Reads a certificate chain (leaf first) and its private key from PEM
    /// files.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let current = Arc::new(Current {
            pair: RwLock::new(Arc::new(read_pair(certificate, key)?)),
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        });
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(TlsError::Setup)?
                .with_no_client_auth()
                .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![ALPN_H2.to_vec(), b"http/1.1".to_vec()];
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(TlsError::Setup)?;
        Ok(Self {
            config: Arc::new(config),
            current,
        })
    }

    /// Reads the same files again. On an error the old certificate stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        let pair = read_pair(&self.current.certificate, &self.current.key)?;
        let mut current = self
            .current
            .pair
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(pair);
        Ok(())
    }

    /// Reloads at each of these signals, as long as the runtime lives.
    pub fn reload_on(&self, mut signals: Signal) {
        let tls = self.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                match tls.reload() {
                    Ok(()) => info!("TLS certificate reloaded"),
                    Err(reason) => error!(
                        error = &reason as &dyn std::error::Error,
                        "TLS certificate not reloaded, the old one stays"
                    ),
                }
            }
        });
    }

    pub(crate) async fn accept(&self, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(Arc::clone(&self.config))
            .accept(tcp)
            .await
    }
}

fn read_pair(certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let unreadable = |what, path: &Path, source| TlsError::Pem {
        what,
        path: path.to_owned(),
        source,
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .and_then(|chain| {
            if chain.is_empty() {
                Err(pem::Error::NoItemsFound)
            } else {
                Ok(chain)
            }
        })
        .map_err(|source| unreadable("certificate", certificate, source))?;
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|source| unreadable("private key", key, source))?;
    CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider()).map_err(|source| {
        TlsError::Mismatch {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            source,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn write_pair(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a pair");
        let certificate = folder.join(format!("{name}.pem"));
        let key = folder.join(format!("{name}.key"));
        fs::write(&certificate, pair.cert.pem()).expect("writable");
        fs::write(&key, pair.signing_key.serialize_pem()).expect("writable");
        (certificate, key)
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let (certificate, _) = write_pair(folder.path(), "one");
        let (_, key) = write_pair(folder.path(), "two");
        let error = Tls::load(&certificate, &key).expect_err("they do not fit");
        assert!(matches!(error, TlsError::Mismatch { .. }), "{error:?}");
    }

    #[test]
    fn a_file_without_a_certificate_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let (certificate, key) = write_pair(folder.path(), "one");
        fs::write(&certificate, "no certificate here").expect("writable");
        let error = Tls::load(&certificate, &key).expect_err("there is none");
        assert!(error.to_string().contains("one.pem"), "{error}");
    }

    #[test]
    fn a_failed_reload_keeps_the_old_certificate() {
        let folder = tempfile::tempdir().expect("a folder");
        let (certificate, key) = write_pair(folder.path(), "one");
        let tls = Tls::load(&certificate, &key).expect("they fit");
        let leaf = |tls: &Tls| tls.current.pair.read().expect("lock").cert[0].to_vec();
        let before = leaf(&tls);
        fs::write(&certificate, "").expect("writable");
        assert!(tls.reload().is_err());
        assert_eq!(leaf(&tls), before);
        write_pair(folder.path(), "one");
        tls.reload().expect("they fit");
        assert_ne!(leaf(&tls), before);
    }
}
