//! The routes of the operator's room, and its page.

mod login;
pub(super) mod page;
mod sale;
mod status;
mod store;
mod tail;
pub(super) mod welcome;

pub use self::{sale::sale_routes, store::store_routes};
use axum::{Router, extract::FromRef};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::service::Admin;
use crate::{auth::Authenticator, realtime::Realtime, rest::openapi};

/// The operations that stand in the API's description.
pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Authenticator: FromRef<S>,
    Admin: FromRef<S>,
{
    openapi::under("Operations", "How this node does, for its operators.")
        .routes(routes!(status::status))
        .routes(routes!(status::metrics))
        .routes(routes!(status::history))
        .routes(routes!(login::login))
}

/// What they ask of the sockets.
pub fn live_routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Authenticator: FromRef<S>,
    Admin: FromRef<S>,
    Realtime: FromRef<S>,
{
    OpenApiRouter::new().routes(routes!(tail::tail))
}

/// The pages and their files.
pub fn console<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Admin: FromRef<S>,
{
    page::router().merge(welcome::router())
}
