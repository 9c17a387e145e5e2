//! The HTTP API under `/v1`, and `/health`, `/ready`, `/metrics`.
//!
//! In: requests with a [`ClientAddress`] that the listener put there. Out: JSON, errors from the same catalogue as on a socket, changes to the store
//! which rooms hear of as inputs. The tenant is always the token's, rights are `room::rights`, and every route has its row there
//! (`x-right` in the document). Nothing here knows a socket or a room's rules.

mod answer;
mod bulk;
mod caller;
mod extract;
mod files;
mod idempotency;
mod layers;
mod look;
mod openapi;
mod rate;
mod routes;
mod schema;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Extensions;
use storage::StoreError;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use self::answer::Answer;
use self::rate::Rates;
use crate::auth::BuiltInIssuer;
use crate::hub::Hub;
pub use crate::transport::serve::ClientAddress;

/// Memory of who asked how often, and of revocations, is tidied this often.
const TIDY: Duration = Duration::from_secs(60);

impl ClientAddress {
    /// The address of a request; one that nobody set counts as one stranger.
    #[must_use]
    pub fn of(extensions: &Extensions) -> IpAddr {
        extensions.get::<Self>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.0)
    }
}

/// What every route has. Cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

/// The parts.
pub struct Inner {
    hub: Arc<Hub>,
    issuer: Option<Arc<BuiltInIssuer>>,
    rates: Rates,
    requests: Arc<Semaphore>,
    files: Arc<files::Files>,
    document: axum::body::Bytes,
}

impl Deref for Api {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Deref for Inner {
    type Target = Hub;
    fn deref(&self) -> &Hub {
        &self.hub
    }
}

impl Api {
    /// The API over a hub; with an issuer also the log-in of the `dev` profile.
    #[must_use]
    pub fn new(hub: Arc<Hub>, issuer: Option<Arc<BuiltInIssuer>>) -> Self {
        let rates = Rates::new(&hub.config.limits);
        let requests = Arc::new(Semaphore::new(hub.config.limits.requests as usize));
        let files = Arc::default();
        let document = axum::body::Bytes::from(document());
        Self(Arc::new(Inner { hub, issuer, rates, requests, files, document }))
    }

    /// All routes with their layers, ready to be merged with the pages.
    pub fn router(&self) -> Router {
        let (routes, _) = routes::all().split_for_parts();
        layers::around(routes, self).with_state(self.clone())
    }

    /// Forgets what no longer counts, once a minute, until told to stop.
    pub async fn tidy(self, stop: CancellationToken) {
        let mut every = tokio::time::interval(TIDY);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = every.tick() => (),
            }
            self.rates.forget();
            self.verifier.revocations().forget(crate::clock::at_ms());
        }
    }

    /// Asks the store, timed by operation and table.
    async fn ask<T>(
        &self,
        operation: &'static str,
        table: &'static str,
        question: impl Future<Output = Result<T, StoreError>>,
    ) -> Answer<T> {
        let _timer = self.metrics.database(operation, table);
        question.await.map_err(Into::into)
    }
}

pub use openapi::document;
pub(crate) use routes::last_used_part;

#[cfg(test)]
mod tests;
