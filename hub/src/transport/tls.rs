//! TLS by the hub itself (rustls, aws-lc): certificate, key and the authorities of client certificates from files.
//!
//! In: the paths and the oldest version that the operator chose, and the files as they change. Out: an acceptor for HTTP/1.1, or what is wrong with the
//! files. At the start bad files stop the hub; later they are refused with a line in the log, and what was good goes on. A connection keeps what it was
//! accepted with. Files are told apart by time of change and length: a tool that renews a certificate writes both files, and between the two they do not
//! fit, which is refused. What was refused is tried at each look until it is taken: what kept it from being read may not show in
//! the files themselves.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use config::{Config, TlsVersion};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

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
    /// The authorities of client certificates cannot be used.
    #[error("{path} has no authority that client certificates can be checked with")]
    Authority {
        /// Which.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What tells that a file is another than before; nothing where it cannot be looked at.
type Stamp = Vec<Option<(SystemTime, u64)>>;

/// The certificate in use, and the files that the next one comes from.
pub struct Tls {
    files: config::Tls,
    current: ArcSwap<ServerConfig>,
}

impl Tls {
    /// What the configuration asks for; none where a proxy ends TLS.
    ///
    /// # Errors
    /// [`TlsError`] names the file; the hub does not start.
    pub fn load(config: &Config) -> Result<Option<Self>, TlsError> {
        let Some(files) = config.listen.tls.clone() else { return Ok(None) };
        let current = ArcSwap::from_pointee(read(&files)?);
        Ok(Some(Self { files, current }))
    }

    /// An acceptor with the certificate of now.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    /// Takes the files anew.
    ///
    /// # Errors
    /// [`TlsError`]; what was in use stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.current.store(Arc::new(read(&self.files)?));
        Ok(())
    }

    fn stamp(&self) -> Stamp {
        let of = |path: &Path| {
            let found = std::fs::metadata(path).ok()?;
            Some((found.modified().ok()?, found.len()))
        };
        [Some(&self.files.certificate), Some(&self.files.key), self.files.client_ca.as_ref()]
            .into_iter()
            .flatten()
            .map(|path| of(path))
            .collect()
    }

    /// Looks at the files again and again until told to stop.
    pub async fn watch(self: Arc<Self>, metrics: Arc<Metrics>, stop: CancellationToken) {
        // What is in use. Changed already between the start and the first look: then the first look takes them again, which costs nothing.
        let mut seen = Stamp::new();
        // What was told to be wrong, so that each fault is told once.
        let mut refused = None;
        let mut every = tokio::time::interval(self.files.reload_every.max(Duration::from_millis(1)));
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = every.tick() => (),
            }
            let looked = tokio::task::spawn_blocking({
                let (tls, seen) = (self.clone(), seen.clone());
                move || tls.look(&seen)
            });
            let Ok(looked) = looked.await else { continue };
            let Some((stamp, taken)) = looked else {
                refused = None;
                continue;
            };
            match taken {
                Ok(()) => {
                    // The first look is at what the start has read.
                    if !seen.is_empty() || refused.is_some() {
                        metrics.tls_reloaded(true);
                        tracing::info!("the certificate files changed: new connections get the new ones");
                    }
                    (seen, refused) = (stamp, None);
                }
                Err(error) => {
                    let found = Some((stamp, crate::chain(&error)));
                    if refused != found {
                        metrics.tls_reloaded(false);
                        let error = found.as_ref().map(|(_, error)| error.as_str());
                        tracing::error!(error, "the certificate files changed and cannot be used: the old ones go on");
                    }
                    refused = found;
                }
            }
        }
    }

    /// Takes files that are others than those in use.
    fn look(&self, seen: &Stamp) -> Option<(Stamp, Result<(), TlsError>)> {
        // Before reading: a change while they are read is a change for the next look.
        let stamp = self.stamp();
        (stamp != *seen).then(|| (stamp, self.reload()))
    }
}

fn read(files: &config::Tls) -> Result<ServerConfig, TlsError> {
    let pem = |path: &PathBuf, source| TlsError::Pem { path: path.clone(), source };
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|source| pem(&files.key, source))?;
    let versions: &[_] = match files.oldest {
        TlsVersion::V1_3 => &[&TLS13],
        TlsVersion::V1_2 => &[&TLS13, &TLS12],
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients = files.client_ca.as_ref().map(|path| clients(path, &provider)).transpose()?;
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).map_err(TlsError::Pair)?;
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(clients),
        None => builder.with_no_client_auth(),
    };
    let mut server = builder.with_single_cert(chain, key).map_err(TlsError::Pair)?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(server)
}

fn certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let chain = found.map_err(|source| TlsError::Pem { path: path.clone(), source })?;
    if chain.is_empty() { Err(TlsError::NoCertificate(path.clone())) } else { Ok(chain) }
}

/// Checks certificates of those who show one. Whoever shows none is a stranger as everywhere: phones and pages have none.
fn clients(path: &PathBuf, provider: &Arc<rustls::crypto::CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|source| TlsError::Authority { path: path.clone(), source: Box::new(source) })?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|source| TlsError::Authority { path: path.clone(), source: Box::new(source) })
}
