//! TLS to the server, as `sslmode` asks for it.

use std::sync::Arc;

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};

use super::options::{SslMode, Target};
use crate::{Error, Result};

/// How to speak TLS, or `None` if it is not wanted.
pub(super) fn config(target: &Target) -> Result<Option<Arc<ClientConfig>>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let failed = |error: rustls::Error| Error::Refused(format!("TLS can't be set up: {error}"));
    let builder = || {
        ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(failed)
    };
    let config = match target.ssl {
        SslMode::Disable => return Ok(None),
        SslMode::Prefer | SslMode::Require => builder()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider.clone())))
            .with_no_client_auth(),
        SslMode::VerifyFull => builder()?
            .with_root_certificates(roots(target)?)
            .with_no_client_auth(),
    };
    Ok(Some(Arc::new(config)))
}

/// Who may vouch for the server: the given file, or those that the system
/// trusts.
fn roots(target: &Target) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    if let Some(path) = &target.roots {
        let unreadable = |error: &dyn std::fmt::Display| {
            Error::Refused(format!(
                "the certificates `{}` can't be read ({error}); name a PEM file in `sslrootcert`",
                path.display()
            ))
        };
        let found = CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))?;
        for certificate in found {
            let certificate = certificate.map_err(|error| unreadable(&error))?;
            store.add(certificate).map_err(|error| unreadable(&error))?;
        }
    } else {
        let found = rustls_native_certs::load_native_certs();
        store.add_parsable_certificates(found.certs);
    }
    if store.is_empty() {
        return Err(Error::Refused(
            "no certificate authority is known that could vouch for the metadata database; name a \
             PEM file in `sslrootcert`"
                .to_owned(),
        ));
    }
    Ok(store)
}

/// Takes any server for the right one: what `prefer` and `require` mean.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
