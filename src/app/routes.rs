//! The route table: every path that is answered, and the layers around it.

use std::sync::Arc;

use axum::{
    Router,
    extract::{FromRef, Request, State},
    handler::Handler,
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use bytes::Bytes;
use http::{
    StatusCode,
    header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE},
};
use utoipa_axum::router::OpenApiRouter;

use super::{
    admission::{self, Admission},
    ground::Ground,
    rooms::Rooms,
};
use crate::{
    access::{self, Access},
    accounts::{self, AccountService},
    admin::{self, Admin, Sales, Storage},
    auth::{Authenticated, Authenticator, take_query_token, takes_act_as},
    chat::{self, ChatService},
    db::Db,
    idempotency::{self, Idempotency},
    marketplace::{self, MarketplaceService},
    metrics,
    notifications::{self, NotificationService},
    payments::{self, PaymentService},
    points::{self, PointsService},
    presence::{self, Presence},
    realtime::{
        self, Catalogue, EmitService, Realtime,
        wire::{self, ClientFiles, Door},
    },
    rest::{
        self as rest,
        openapi::{self, Examples, Takes},
        parameters::Parameters,
        problem,
        unread::OpenBodies,
    },
    traces,
    users::{self, Users},
    webhooks::{self, Webhooks},
};

/// Requests and answers for the description, as `tests/documents` has seen them.
const EXAMPLES: [&str; 11] = [
    include_str!("examples/auth.json"),
    include_str!("examples/users.json"),
    include_str!("examples/emit.json"),
    include_str!("examples/presence.json"),
    include_str!("examples/chat.json"),
    include_str!("examples/marketplace.json"),
    include_str!("examples/payments.json"),
    include_str!("examples/notifications.json"),
    include_str!("examples/points.json"),
    include_str!("examples/webhooks.json"),
    include_str!("examples/operations.json"),
];

/// Below here others call by a URL that they were given, whatever they add to it.
const CALLBACKS: &str = "/api/webhooks/";

/// What handlers are given parts of.
#[derive(Clone, FromRef)]
struct AppState {
    access: Access,
    accounts: AccountService,
    admin: Admin,
    authenticator: Authenticator,
    emits: EmitService,
    idempotency: Idempotency,
    open_bodies: OpenBodies,
    realtime: Realtime,
    presence: Presence,
    chat: ChatService,
    marketplace: MarketplaceService,
    notifications: NotificationService,
    payments: PaymentService,
    points: PointsService,
    sales: Sales,
    storage: Storage,
    users: Users,
    webhooks: Webhooks,
}

impl AppState {
    fn new(ground: &Ground, db: &Db, realtime: &Realtime, rooms: &Rooms) -> Self {
        let rooms = rooms.clone();
        Self {
            access: rooms.access,
            accounts: rooms.accounts,
            admin: rooms.admin,
            authenticator: ground.authenticator.clone(),
            emits: EmitService::new(db.clone(), realtime.emitter().clone()),
            idempotency: rooms.idempotency,
            open_bodies: OpenBodies::new(&ground.config.server),
            realtime: realtime.clone(),
            presence: rooms.presence,
            chat: rooms.chat,
            marketplace: rooms.marketplace,
            notifications: rooms.notifications,
            payments: rooms.payments,
            points: rooms.points,
            sales: rooms.sales,
            storage: rooms.storage,
            users: rooms.users,
            webhooks: rooms.webhooks,
        }
    }
}

/// Every route of the public port.
///
/// # Errors
/// When the documents can't be written.
pub(super) fn router(
    ground: &Ground,
    db: &Db,
    realtime: &Realtime,
    rooms: &Rooms,
) -> anyhow::Result<Router> {
    let config = &ground.config;
    let state = AppState::new(ground, db, realtime, rooms);
    let admission = Admission::new(config, ground.authenticator.clone(), ground.callers.clone());
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
        .merge(webhooks::routes())
        .merge(admin::sale_routes())
        .merge(admin::store_routes())
        .merge(admin::routes())
        .merge(admin::live_routes())
        .split_for_parts();
    let examples = Examples::read(&EXAMPLES)?;
    let takes = Takes { key: idempotency::takes_key, act_as: takes_act_as };
    let description = openapi::complete(description, &examples, &takes);
    // Answers are kept as callers see them, so failures are rendered below as well as above.
    let api = api
        .route_layer(from_fn(problem::layer))
        .route_layer(from_fn_with_state(state.clone(), idempotency::layer))
        .route_layer(from_fn_with_state(Parameters::of(&description), refuse_unknown));
    let mut router = api
        .merge(openapi::router(&description)?)
        .merge(documents(&ground.catalogue)?)
        .merge(admin::console())
        .merge(rest::health::router(ground.readiness.clone()));
    if config.metrics.port.is_none() {
        router = router.merge(metrics::router(ground.metrics.clone()));
    }
    // One of our own: else the door's, which has other layers, would take its place.
    let router = router
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(from_fn_with_state(admission, admission::layer));
    let router = rest::layers(router, ground.layers.clone());
    let router = router.layer(from_fn(metrics::track));
    let router = if traces::is_on() { router.layer(from_fn(traces::request)) } else { router };
    let router = router.with_state(state);
    let door = realtime.door();
    let files = ClientFiles::new(&config.realtime)?.router(door.origins().clone());
    let router = router.merge(files).merge(socket_io(door.clone(), Door::handle));
    Ok(match config.auth.query.as_deref() {
        Some(name) => router.layer(from_fn_with_state(Arc::from(name), take_query_token)),
        None => router,
    })
}

/// Middleware: no operation is asked with a parameter that it has not.
async fn refuse_unknown(
    State(parameters): State<Parameters>,
    request: Request,
    next: Next,
) -> Response {
    if request.uri().path().starts_with(CALLBACKS) {
        return next.run(request).await;
    }
    let credentials = request.extensions().get().and_then(Authenticated::valid);
    match parameters.check(&request, credentials.is_some()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// The documents made from the event catalogue, written once: handlers are cloned for each request.
fn documents(catalogue: &Catalogue) -> anyhow::Result<Router<AppState>> {
    let asyncapi = Bytes::from(serde_json::to_vec(&catalogue.asyncapi())?);
    let typescript = Bytes::from(catalogue.typescript());
    let page = Bytes::from(catalogue.page());
    let html = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, openapi::PAGE_POLICY),
    ];
    let json = [(CONTENT_TYPE, "application/json")];
    let text = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok(Router::new()
        .route("/api/docs/events", get(async move || (html, page)))
        .route("/api/asyncapi.json", get(async move || (json, asyncapi)))
        .route("/api/events.d.ts", get(async move || (text, typescript))))
}

/// The Socket.IO door stands outside the layers of REST: it has checks of its own.
pub(super) fn socket_io<T: 'static>(door: Door, handler: impl Handler<T, Door>) -> Router {
    Router::new()
        .route("/socket.io/", any(handler.clone()))
        .route("/socket.io", any(handler))
        .layer(from_fn_with_state(door.origins().clone(), wire::refusals))
        .with_state(door)
}
