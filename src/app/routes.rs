//! The route table: every path that is answered, and the layers around it.

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    handler::Handler,
    middleware::{from_fn, from_fn_with_state},
    routing::{any, get},
};
use bytes::Bytes;
use http::{Method, StatusCode, header::CONTENT_TYPE};
use utoipa_axum::router::OpenApiRouter;

use super::{
    AppState,
    admission::{self, Admission},
    store,
};
use crate::{
    access, accounts, admin,
    auth::take_query_token,
    chat,
    http::{
        self as rest, Layers,
        health::Readiness,
        openapi::{self, Examples},
        problem,
    },
    idempotency, marketplace,
    metrics::{self, Handle},
    notifications, payments, points, presence,
    realtime::{
        self, Catalogue, Realtime,
        wire::{self, Door},
    },
    users,
};

/// Requests and answers for the description, as `tests/documents` has seen them.
const EXAMPLES: [&str; 10] = [
    include_str!("examples/auth.json"),
    include_str!("examples/users.json"),
    include_str!("examples/emit.json"),
    include_str!("examples/presence.json"),
    include_str!("examples/chat.json"),
    include_str!("examples/marketplace.json"),
    include_str!("examples/payments.json"),
    include_str!("examples/notifications.json"),
    include_str!("examples/points.json"),
    include_str!("examples/operations.json"),
];

/// Every route of the public port.
pub(super) fn router(
    state: AppState,
    admission: Admission,
    layers: Layers,
    catalogue: &Catalogue,
    readiness: Readiness,
    metrics: Option<Handle>,
    token_parameter: Option<&str>,
) -> anyhow::Result<Router> {
    let (api, description) = OpenApiRouter::with_openapi(openapi::base())
        .merge(accounts::routes())
        .merge(users::routes())
        .merge(realtime::routes())
        .merge(access::routes())
        .merge(presence::routes())
        .merge(chat::routes())
        .merge(marketplace::routes())
        .merge(payments::routes())
        .merge(notifications::routes())
        .merge(points::routes())
        .merge(admin::routes())
        .split_for_parts();
    let examples = Examples::read(&EXAMPLES)?;
    let description = openapi::complete(description, &examples, idempotency::takes_key);
    // Answers are kept as callers see them, so failures are rendered below as well as above.
    let api = api
        .route_layer(from_fn(problem::layer))
        .route_layer(from_fn_with_state(state.clone(), idempotency::layer));
    let mut router = api
        .merge(openapi::router(&description)?)
        .merge(documents(catalogue)?)
        .merge(admin::console())
        .merge(rest::health::router(readiness));
    if let Some(metrics) = metrics {
        router = router.merge(metrics::router(metrics));
    }
    // One of our own: else the door's, which has other layers, would take its place.
    let router = router
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(from_fn_with_state(admission, admission::layer));
    let door = state.realtime.door().clone();
    let router = rest::layers(router, layers).layer(from_fn(metrics::track)).with_state(state);
    let router = router.merge(socket_io(door, Door::handle));
    Ok(match token_parameter {
        Some(name) => router.layer(from_fn_with_state(Arc::from(name), take_query_token)),
        None => router,
    })
}

/// The documents made from the event catalogue, written once: handlers are cloned for each request.
fn documents(catalogue: &Catalogue) -> anyhow::Result<Router<AppState>> {
    let asyncapi = Bytes::from(serde_json::to_vec(&catalogue.asyncapi())?);
    let typescript = Bytes::from(catalogue.typescript());
    let json = [(CONTENT_TYPE, "application/json")];
    let text = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok(Router::new()
        .route("/api/asyncapi.json", get(async move || (json, asyncapi)))
        .route("/api/events.d.ts", get(async move || (text, typescript))))
}

/// What is answered while the store is away: the probes, and everyone else that it is.
pub(super) fn waiting(realtime: &Realtime, readiness: Readiness, layers: Layers) -> Router {
    let origins = layers.origins.clone();
    let at_the_door = async move |request: Request| {
        let asks = request.method() == Method::OPTIONS;
        if asks { Ok(origins.preflight(request.headers(), None)) } else { Err(store::away().await) }
    };
    let router = rest::health::router(readiness).fallback(store::away);
    rest::layers(router, layers).merge(socket_io(realtime.door().clone(), at_the_door))
}

/// The Socket.IO door stands outside the layers of REST: it has checks of its own.
fn socket_io<T: 'static>(door: Door, handler: impl Handler<T, Door>) -> Router {
    Router::new()
        .route("/socket.io/", any(handler.clone()))
        .route("/socket.io", any(handler))
        .layer(from_fn_with_state(door.origins().clone(), wire::refusals))
        .with_state(door)
}
