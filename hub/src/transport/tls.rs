//! TLS by the hub itself (rustls, aws-lc): certificate and key from files.
//!
//! In: the paths and the oldest version that the operator chose. Out: an acceptor for HTTP/1.1, or what is wrong with the files. Read once, at start.

use std::path::PathBuf;
use std::sync::Arc;

use config::{Config, TlsVersion};
use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// The files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read as PEM.
    #[error("{path} cannot be read as PEM")]
    Pem {
        /// Which.
        path: PathBuf,
        /// Why.
        source: rustls_pki_types::pem::Error,
    },
    /// The file has no certificate.
    #[error("{0} has no certificate")]
    NoCertificate(PathBuf),
    /// Certificate and key do not go together, or the library cannot use them.
    #[error("certificate and key cannot be used together")]
    Pair(#[source] rustls::Error),
}

/// The acceptor that the configuration asks for; none where a proxy ends TLS.
///
/// # Errors
/// [`TlsError`] names the file; the hub does not start.
pub fn acceptor(config: &Config) -> Result<Option<TlsAcceptor>, TlsError> {
    let Some(tls) = &config.listen.tls else { return Ok(None) };
    let pem = |path: &PathBuf, source| TlsError::Pem { path: path.clone(), source };
    let chain: Vec<_> =
        CertificateDer::pem_file_iter(&tls.certificate).and_then(Iterator::collect).map_err(|source| pem(&tls.certificate, source))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(tls.certificate.clone()));
    }
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|source| pem(&tls.key, source))?;
    let versions: &[_] = match tls.oldest {
        TlsVersion::V1_3 => &[&TLS13],
        TlsVersion::V1_2 => &[&TLS13, &TLS12],
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(TlsError::Pair)?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(server))))
}
