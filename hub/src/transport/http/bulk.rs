//! Many records in one call, each with its own result.
//!
//! In: up to 1,000 records of one kind. Out: for each, stored or why not. They are stored in one transaction where all are good; where one is not, halves
//! are tried, so that the bad ones are found and the others stored. All of it is idempotent by the records' ids.

use std::future::Future;

use protocol::{ErrorCode, TenantId};
use serde::{Deserialize, Serialize};
use storage::{Store, StoreError};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Api;
use super::answer::{Answer, ApiError, ErrorBody};

/// Records in one call.
pub(super) const ITEMS_MAX: usize = 1000;

/// Many records.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Many<T> {
    /// The records, at most 1,000.
    #[schema(min_items = 1, max_items = 1000)]
    pub(super) items: Vec<T>,
}

/// What became of each.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Results {
    /// In the order of the records.
    pub(super) results: Vec<ItemResult>,
}

/// What became of one.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct ItemResult {
    /// The record's id.
    pub(super) id: Uuid,
    /// Whether it is stored.
    pub(super) stored: bool,
    /// Why it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub(super) error: Option<ErrorBody>,
}

impl<T> Many<T> {
    /// The records, if there are as many as there may be.
    pub(super) fn checked(self) -> Answer<Vec<T>> {
        match self.items.len() {
            0 => Err(ApiError::detailed(ErrorCode::Unprocessable, "items: at least one")),
            1..=ITEMS_MAX => Ok(self.items),
            n => Err(ApiError::detailed(ErrorCode::Unprocessable, format!("items: {n}, and at most {ITEMS_MAX} at once"))),
        }
    }
}

/// A kind of record that can be provisioned.
pub(super) trait Record: Clone + Send + Sync + Sized {
    /// Operation and table, for metrics.
    const ASKS: (&'static str, &'static str);
    /// Its id.
    fn id(&self) -> Uuid;
    /// Stores all of them or none.
    fn put(store: &Store, tenant: TenantId, records: &[Self]) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Stores what can be stored. `Err` only where the store does not answer: then try the whole call again.
pub(super) async fn put<R: Record>(api: &Api, tenant: TenantId, records: Vec<Result<R, (Uuid, ApiError)>>) -> Answer<(Results, Vec<R>)> {
    let mut results: Vec<ItemResult> = Vec::with_capacity(records.len());
    let mut good: Vec<(usize, R)> = Vec::with_capacity(records.len());
    for record in records {
        match record {
            Ok(record) => {
                results.push(ItemResult { id: record.id(), stored: true, error: None });
                good.push((results.len() - 1, record));
            }
            Err((id, error)) => results.push(ItemResult { id, stored: false, error: Some(error.body()) }),
        }
    }
    let mut stored = Vec::with_capacity(good.len());
    // Halves that are still to be tried; the depth is the logarithm of 1,000.
    let mut waiting = if good.is_empty() { Vec::new() } else { vec![good] };
    while let Some(mut some) = waiting.pop() {
        let plain: Vec<R> = some.iter().map(|(_, record)| record.clone()).collect();
        let (operation, table) = R::ASKS;
        let timer = api.metrics.database(operation, table);
        let done = R::put(&api.store, tenant, &plain).await;
        drop(timer);
        match done {
            Ok(()) => stored.extend(plain),
            Err(error) if error.is_away() => return Err(error.into()),
            Err(error) if some.len() == 1 => {
                let place = &mut results[some[0].0];
                (place.stored, place.error) = (false, Some(ApiError::from(error).body()));
            }
            Err(_) => {
                let rest = some.split_off(some.len() / 2);
                waiting.push(rest);
                waiting.push(some);
            }
        }
    }
    Ok((Results { results }, stored))
}
