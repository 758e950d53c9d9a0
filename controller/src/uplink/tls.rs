//! TLS without a clock: who may answer as the broker is said by a pinned CA, and whether a certificate is in date is
//! judged by what is known for certain, that it is not earlier than this. The hub's own clock may say 1970 or 2100 and is
//! never asked.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme, crypto,
};

use crate::config::TlsFiles;

/// When this software was released, seconds since 1970: 2026-11-22. It cannot be earlier.
const RELEASED: u64 = 1_795_305_600;
/// Certificates of a chain whose beginning may lie ahead of what is known.
const MOST_STEPS: usize = 8;
/// Largest file of certificates, bytes.
const MOST_BYTES: u64 = 1 << 20;

/// Why a secured line cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error("{}: {what}", .path.display())]
    File { path: PathBuf, what: String },
    #[error("the line cannot be secured: {0}")]
    Rustls(#[from] Error),
}

/// What a client of this broker uses.
pub(super) fn config(files: &TlsFiles) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&files.ca)? {
        roots.add(certificate).map_err(|error| refused(&files.ca, error.to_string()))?;
    }
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
    let inner = inner.map_err(|error| refused(&files.ca, error.to_string()))?;
    let builder = ClientConfig::builder_with_details(provider, Arc::new(NotBefore(RELEASED)))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned { inner }));
    let config = match &files.own {
        Some((certificate, key)) => {
            builder.with_client_auth_cert(certificates(certificate)?, secret(key)?)?
        }
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

fn refused(path: &Path, what: String) -> TlsError {
    TlsError::File { path: path.into(), what }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| refused(path, error.to_string()))?;
    file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(|error| refused(path, error.to_string()))?;
    Ok(bytes)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(refused(path, "holds no certificate; expected PEM".into())),
        Err(error) => Err(refused(path, format!("is not PEM: {error}"))),
    }
}

/// A key that others may read is none.
fn secret(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let mode =
        std::fs::metadata(path).map_err(|error| refused(path, error.to_string()))?.permissions().mode();
    if mode & 0o077 != 0 {
        let what = format!("others may read this key (mode {:o}); expected 600", mode & 0o777);
        return Err(refused(path, what));
    }
    PrivateKeyDer::from_pem_slice(&read(path)?)
        .map_err(|error| refused(path, format!("holds no private key in PEM: {error}")))
}

/// The time that is known for certain.
#[derive(Debug)]
struct NotBefore(u64);

impl TimeProvider for NotBefore {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0)))
    }
}

/// Trusts a chain if there is a moment, not before the one that is known, at which all of it is in date.
#[derive(Debug)]
struct Pinned {
    inner: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        not_before: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut at = not_before;
        for _ in 0..MOST_STEPS {
            match self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, at) {
                // It is later than we knew, or this certificate would not be in use.
                Err(Error::InvalidCertificate(CertificateError::NotValidYetContext {
                    not_before, ..
                })) if not_before.as_secs() > at.as_secs() => {
                    at = not_before;
                }
                verdict => return verdict,
            }
        }
        Err(Error::InvalidCertificate(CertificateError::NotValidYet))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
