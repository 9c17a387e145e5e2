//! An issuer's key set, fetched in the background.
//!
//! In: a URL, and word that a token named an unknown key. Out: keys, swapped in whole. Fetched at start, again after `jwks_refresh`, and for
//! an unknown key at most every `jwks_min_interval`, however many tokens name one. Every fetch has a deadline and a bound on bytes; follows
//! no redirect. A fetch that fails leaves the keys as they are and is tried again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use config::{Algorithm, Auth, Issuer};
use jsonwebtoken::jwk::JwkSet;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::SetupError;
use super::keys::KeySet;

/// A key set larger than this is none.
const BYTES_MAX: usize = 256 * 1024;

/// Where one issuer's keys come from.
pub(super) struct Source {
    issuer: String,
    url: String,
    algorithms: Vec<Algorithm>,
    refresh: Duration,
    min_interval: Duration,
    timeout: Duration,
    client: reqwest::Client,
    wanted: Notify,
    begun: Mutex<Begun>,
    /// The number of the newest fetch that ended, well or not.
    ended: watch::Sender<u64>,
}

/// Fetches that began.
#[derive(Default, Clone, Copy)]
struct Begun {
    count: u64,
    last: Option<Instant>,
}

/// A fetch that begins after it was asked for, so that it sees what the issuer had published by then.
pub(super) struct Wanted {
    number: u64,
    ended: watch::Receiver<u64>,
}

impl Wanted {
    /// Waits until a fetch ended, however it ended. True when it was the one that was asked for, or a later one. Safe to drop at await.
    pub(super) async fn one_ended(&mut self) -> bool {
        // The sender lives as long as the verifier; were it gone, nothing would come any more.
        self.ended.changed().await.is_err() || *self.ended.borrow_and_update() >= self.number
    }
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("no answer")]
    Http(#[source] reqwest::Error),
    #[error("status {0}")]
    Status(u16),
    #[error("more than {BYTES_MAX} bytes")]
    TooLarge,
    #[error("no key set in the answer")]
    NotAKeySet(#[source] serde_json::Error),
    #[error("no key in it that this issuer may use")]
    NoKeys,
}

impl Source {
    pub(super) fn new(issuer: &Issuer, url: &str, auth: &Auth) -> Result<Self, SetupError> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(auth.jwks_timeout)
            .user_agent(concat!("spotter/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(SetupError::Client)?;
        Ok(Self {
            issuer: issuer.issuer.clone(),
            url: url.to_owned(),
            algorithms: issuer.algorithms.clone(),
            refresh: auth.jwks_refresh,
            min_interval: auth.jwks_min_interval,
            timeout: auth.jwks_timeout,
            client,
            wanted: Notify::new(),
            begun: Mutex::new(Begun::default()),
            ended: watch::Sender::new(0),
        })
    }

    /// Asks for a fetch; one that is under way already may have been answered before the key was published and does not count. None where
    /// none can begin within `patience`, so that nobody waits for nothing.
    pub(super) fn ask(&self, patience: Duration) -> Option<Wanted> {
        let begun = self.begun();
        if self.not_before(begun).saturating_duration_since(Instant::now()) > patience {
            return None;
        }
        self.wanted.notify_one();
        Some(Wanted { number: begun.count + 1, ended: self.ended.subscribe() })
    }

    fn begun(&self) -> Begun {
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The earliest time of the next fetch.
    fn not_before(&self, begun: Begun) -> Instant {
        begun.last.map_or_else(Instant::now, |last| last + self.min_interval)
    }

    /// Numbers the fetch that begins now.
    fn begin(&self) -> u64 {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        *begun = Begun { count: begun.count + 1, last: Some(Instant::now()) };
        begun.count
    }

    async fn fetch(&self) -> Result<KeySet, FetchError> {
        let mut response = self.client.get(&self.url).send().await.map_err(FetchError::Http)?;
        if !response.status().is_success() {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(FetchError::Http)? {
            if bytes.len() + chunk.len() > BYTES_MAX {
                return Err(FetchError::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        let set: JwkSet = serde_json::from_slice(&bytes).map_err(FetchError::NotAKeySet)?;
        let keys = KeySet::of_jwks(&set, &self.algorithms);
        if keys.len() == 0 { Err(FetchError::NoKeys) } else { Ok(keys) }
    }
}

/// The task that keeps one issuer's keys fresh.
pub struct Fetcher {
    source: Arc<Source>,
    keys: Arc<ArcSwap<KeySet>>,
}

impl Fetcher {
    pub(super) fn new(source: Arc<Source>, keys: Arc<ArcSwap<KeySet>>) -> Self {
        Self { source, keys }
    }

    /// Fetches at once, then when it is time or wanted, until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            let pause = if self.once().await { self.source.refresh } else { self.source.min_interval };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.source.wanted.notified() => (),
                () = tokio::time::sleep(pause) => (),
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(self.source.not_before(self.source.begun())) => (),
            }
        }
    }

    /// One fetch. True when the keys are new.
    async fn once(&self) -> bool {
        let number = self.source.begin();
        // The client's own timeout covers each request; this one covers a body that trickles.
        let fetched = tokio::time::timeout(self.source.timeout, self.source.fetch()).await;
        let good = match fetched {
            Ok(Ok(keys)) => {
                tracing::info!(issuer = %self.source.issuer, keys = keys.len(), "the key set was fetched");
                self.keys.store(Arc::new(keys));
                true
            }
            Ok(Err(error)) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                tracing::warn!(issuer = %self.source.issuer, %error, cause, "the key set could not be fetched; the keys known stay");
                false
            }
            Err(_elapsed) => {
                tracing::warn!(issuer = %self.source.issuer, "the key set was not fetched in time; the keys known stay");
                false
            }
        };
        self.source.ended.send_replace(number);
        good
    }
}
