//! Workouts as files: out as FIT and TCX, in as what a member recorded elsewhere.
//!
//! In: a workout of the store, or the bytes of an upload. Out: a file, or a workout in the store. Bounded in how many are at it at once, since each
//! holds a whole workout in memory, of one tenant and of all. The right is checked before a place is taken, and a body has a deadline of its own. What a file says is the crate `activity`'s; who may ask is the routes'.

mod export;
mod upload;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use protocol::{ErrorCode, MemberId, TenantId};
use room::rights::Action;

pub(super) use self::export::File;
pub(super) use self::upload::{Uploaded, store_upload};
use super::answer::{Answer, ApiError};
use super::caller::Caller;
use super::{Api, extract};
use crate::auth::Identity;

/// Files that are written or read at once; more are answered `overloaded`.
const AT_ONCE: usize = 6;
/// Of one tenant: there is room for another's always.
const AT_ONCE_OF_TENANT: usize = 3;
/// A file that comes slower than this gives its place to others: half of what a request may take.
const BODY_WITHIN: Duration = Duration::from_secs(15);
/// How the path of an upload begins and ends.
const UPLOADS: (&str, &str) = ("/v1/members/", "/uploads");

/// Files being worked on, by tenant.
#[derive(Default)]
pub(super) struct Files(Mutex<BTreeMap<TenantId, usize>>);

impl Files {
    fn take(self: &Arc<Self>, tenant: TenantId) -> Option<Held> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, own) = (held.values().sum::<usize>(), held.get(&tenant).copied().unwrap_or(0));
        if all >= AT_ONCE || own >= AT_ONCE_OF_TENANT {
            return None;
        }
        held.insert(tenant, own + 1);
        Some(Held { files: Arc::clone(self), tenant })
    }
}

struct Held {
    files: Arc<Files>,
    tenant: TenantId,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.files.0.lock().unwrap_or_else(PoisonError::into_inner);
        match held.get_mut(&self.tenant) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(held.remove(&self.tenant)),
        }
    }
}

/// A place among the files being worked on, and whoever holds it.
#[derive(Clone)]
pub(super) struct Place(#[expect(dead_code, reason = "held, not looked at")] Arc<Held>);

impl Api {
    /// A place among the files, without waiting.
    pub(super) fn file_place(&self, tenant: TenantId) -> Answer<Place> {
        let full = || {
            let words = format!("{AT_ONCE} files are being worked on, or {AT_ONCE_OF_TENANT} of the tenant");
            ApiError::detailed(ErrorCode::Overloaded, words).after(1000)
        };
        self.files.take(tenant).map(|held| Place(Arc::new(held))).ok_or_else(full)
    }
}

/// Largest body of a request to this path, and the place that a large one needs before it is read; for those alone who may upload.
pub(super) async fn body_of(api: &Api, identity: &Identity, path: &str) -> Answer<(usize, Option<Place>)> {
    let member = path.strip_prefix(UPLOADS.0).and_then(|rest| rest.strip_suffix(UPLOADS.1)).and_then(|id| id.parse().ok());
    let Some(member) = member.map(MemberId) else { return Ok((api.config.limits.body_bytes, None)) };
    let caller = Caller { identity: identity.clone() };
    api.member_of(&caller, member, Action::HttpUpload).await?;
    Ok((api.config.limits.upload_bytes, Some(api.file_place(caller.tenant())?)))
}

/// Reads a body, in its time where it holds a place.
pub(super) async fn read(body: Body, bytes_max: usize, place: Option<&Place>) -> Answer<bytes::Bytes> {
    if place.is_none() {
        return extract::read(body, bytes_max).await;
    }
    let slow =
        || ApiError::detailed(ErrorCode::Unavailable, format!("the file did not come within {} s", BODY_WITHIN.as_secs())).after(1000);
    tokio::time::timeout(BODY_WITHIN, extract::read(body, bytes_max)).await.unwrap_or_else(|_elapsed| Err(slow()))
}

/// The body of an upload with its place.
pub(super) struct Bytes {
    pub(super) bytes: bytes::Bytes,
    pub(super) _place: Place,
}

impl Bytes {
    /// Reads an upload of somebody who may.
    pub(super) async fn of(api: &Api, tenant: TenantId, mut request: axum::extract::Request) -> Answer<Self> {
        // Whoever brought an Idempotency-Key has a place already.
        let place = match request.extensions_mut().remove::<Place>() {
            Some(place) => place,
            None => api.file_place(tenant)?,
        };
        let bytes = read(request.into_body(), api.config.limits.upload_bytes, Some(&place)).await?;
        Ok(Self { bytes, _place: place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_leaves_places_to_others() {
        let files = Arc::new(Files::default());
        let tenant = |number| TenantId(uuid::Uuid::from_u128(number));
        let mut own: Vec<Held> = (0..AT_ONCE_OF_TENANT).filter_map(|_| files.take(tenant(1))).collect();
        assert_eq!(own.len(), AT_ONCE_OF_TENANT);
        assert!(files.take(tenant(1)).is_none(), "its share is taken");
        let others: Vec<Held> = (2..20).filter_map(|number| files.take(tenant(number))).collect();
        assert_eq!(own.len() + others.len(), AT_ONCE);
        drop(others);
        drop(own.pop());
        assert!(files.take(tenant(1)).is_some(), "a place that was given back is free");
        drop(own);
        assert!(files.0.lock().unwrap().is_empty());
    }
}
