//! Every route, by the part of the house that it is about.

mod boards;
mod dev;
mod devices;
mod disk;
mod erasure;
mod files;
mod gyms;
mod health;
mod machines;
mod members;
mod operation;
mod tickets;
mod training;

pub(crate) use disk::last_used_part;

use utoipa_axum::router::OpenApiRouter;

use super::Api;

/// All routes with their descriptions.
pub(super) fn all() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .merge(gyms::routes())
        .merge(machines::routes())
        .merge(boards::routes())
        .merge(tickets::routes())
        .merge(members::routes())
        .merge(erasure::routes())
        .merge(training::routes())
        .merge(devices::routes())
        .merge(files::routes())
        .merge(operation::routes())
        .merge(health::routes())
        .merge(dev::routes())
}

/// Carried out, and there is nothing more to say.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct Done {
    /// Always true.
    done: bool,
}

impl Done {
    const YES: Self = Self { done: true };
}

/// A page's size within its bounds, or the default.
fn limit_of(asked: Option<u32>, default: u32, max: u32) -> super::answer::Answer<u32> {
    match asked {
        None => Ok(default),
        Some(limit) if (1..=max).contains(&limit) => Ok(limit),
        Some(_) => Err(super::answer::ApiError::detailed(protocol::ErrorCode::Malformed, format!("limit: 1 to {max}"))),
    }
}
