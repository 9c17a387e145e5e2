//! Workouts as files: out as FIT and TCX, in as what a member recorded elsewhere.
//!
//! In: a workout of the store, or the bytes of an upload. Out: a file, or a workout in the store. Bounded in how many are at it at once, since each
//! holds a whole workout in memory. What a file says is the crate `activity`'s; who may ask is the routes'.

mod export;
mod upload;

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use protocol::ErrorCode;
use tokio::sync::OwnedSemaphorePermit;

pub(super) use self::export::File;
pub(super) use self::upload::{Uploaded, store_upload};
use super::answer::{Answer, ApiError};
use super::{Api, extract};

/// Files that are written or read at once; more are answered `overloaded`.
pub(super) const AT_ONCE: usize = 4;
/// How the path of an upload ends.
const UPLOADS: &str = "/uploads";

/// A place among the files being worked on, and whoever holds it.
#[derive(Clone)]
pub(super) struct Place(#[expect(dead_code, reason = "held, not looked at")] Arc<OwnedSemaphorePermit>);

impl Api {
    /// A place among the files, without waiting.
    pub(super) fn file_place(&self) -> Answer<Place> {
        match self.files.clone().try_acquire_owned() {
            Ok(place) => Ok(Place(Arc::new(place))),
            Err(_full) => Err(ApiError::detailed(ErrorCode::Overloaded, format!("{AT_ONCE} files are being worked on")).after(1000)),
        }
    }
}

/// Largest body of a request to this path, and the place that a large one needs before it is read.
pub(super) fn body_of(api: &Api, path: &str) -> Answer<(usize, Option<Place>)> {
    if path.ends_with(UPLOADS) {
        return Ok((api.config.limits.upload_bytes, Some(api.file_place()?)));
    }
    Ok((api.config.limits.body_bytes, None))
}

/// The body of an upload with its place.
pub(super) struct Bytes {
    pub(super) bytes: bytes::Bytes,
    pub(super) _place: Place,
}

impl FromRequest<Api> for Bytes {
    type Rejection = ApiError;

    async fn from_request(mut request: Request, api: &Api) -> Result<Self, ApiError> {
        // Whoever brought an Idempotency-Key has a place already.
        let place = match request.extensions_mut().remove::<Place>() {
            Some(place) => place,
            None => api.file_place()?,
        };
        let bytes = extract::read(request.into_body(), api.config.limits.upload_bytes).await?;
        Ok(Self { bytes, _place: place })
    }
}
