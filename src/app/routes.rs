//! The route table: every path that is answered, and the layers around it.

use axum::{
    Json, Router,
    middleware::from_fn,
    routing::{any, get},
};
use http::header::CONTENT_TYPE;
use utoipa_axum::router::OpenApiRouter;

use super::AppState;
use crate::{
    http::{self as rest, Layers, health::Readiness, openapi, problem},
    metrics::{self, Handle},
    presence,
    realtime::{self, Catalogue, wire::Door},
};

/// Every route of the public port.
pub(super) fn router(
    state: AppState,
    layers: Layers,
    catalogue: &Catalogue,
    readiness: Readiness,
    metrics: Option<Handle>,
) -> anyhow::Result<Router> {
    let (api, description) = OpenApiRouter::with_openapi(openapi::base())
        .merge(realtime::routes())
        .merge(presence::routes())
        .split_for_parts();
    let mut router = api
        .merge(openapi::router(description)?)
        .merge(documents(catalogue))
        .merge(rest::health::router(readiness));
    if let Some(metrics) = metrics {
        router = router.merge(metrics::router(metrics));
    }
    let door = state.realtime.door().clone();
    let router = rest::layers(router, layers).layer(from_fn(metrics::track)).with_state(state);
    Ok(router.merge(socket_io(door)))
}

/// The documents made from the event catalogue.
fn documents(catalogue: &Catalogue) -> Router<AppState> {
    let asyncapi = catalogue.asyncapi();
    let typescript = catalogue.typescript();
    Router::new().route("/api/asyncapi.json", get(async move || Json(asyncapi))).route(
        "/api/events.d.ts",
        get(async move || ([(CONTENT_TYPE, "text/plain; charset=utf-8")], typescript)),
    )
}

/// The Socket.IO door stands outside the layers of REST: it has checks of its own.
fn socket_io(door: Door) -> Router {
    Router::new()
        .route("/socket.io/", any(Door::handle))
        .route("/socket.io", any(Door::handle))
        .layer(from_fn(problem::layer))
        .with_state(door)
}
