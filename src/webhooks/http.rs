//! Webhooks over REST, for admins (docs/contract/rest.md#webhooks).

use axum::extract::{FromRef, State};
use http::StatusCode;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    documents::{WebhookEndpoint, WebhookFailure},
    requests::ReplayEvents,
    service::Webhooks,
};
use crate::{
    auth::{AdminCaller, Authenticator},
    error::Result,
    failures,
    id::Id,
    idempotency::answer,
    rest::{
        body::{Path, ValidBody},
        list::{List, Page},
        openapi,
    },
};

failures! {
    /// No webhook has this name.
    NoWebhook = NotFound, "There is no such webhook.";
}

/// The routes.
pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Authenticator: FromRef<S>,
    Webhooks: FromRef<S>,
{
    openapi::under("Webhooks", "What happened, told to backends: how that goes.")
        .routes(routes!(list_webhooks))
        .routes(routes!(list_webhook_failures))
        .routes(routes!(replay_webhook))
}

/// Returns the webhooks and how each does.
///
/// Needs the role `admin`. In the order of their names.
#[utoipa::path(
    get,
    path = "/api/webhook-endpoints",
    tag = "Webhooks",
    params(Page),
    responses((status = 200, description = "The webhooks.", body = List<WebhookEndpoint>))
)]
async fn list_webhooks(
    State(webhooks): State<Webhooks>,
    _admin: AdminCaller,
    page: Page,
) -> Result<List<WebhookEndpoint>> {
    webhooks.list(&page).await
}

/// Returns the events that a webhook has put aside.
///
/// Needs the role `admin`. An event is put aside when it could not be delivered for three days; it is
/// kept until it is a week old. The latest first.
#[utoipa::path(
    get,
    path = "/api/webhook-endpoints/{name}/failures",
    tag = "Webhooks",
    params(("name" = String, Path, description = "The webhook."), Page),
    responses(
        (status = 200, description = "The events.", body = List<WebhookFailure>),
        NoWebhook,
    )
)]
async fn list_webhook_failures(
    State(webhooks): State<Webhooks>,
    _admin: AdminCaller,
    Path(name): Path<Id>,
    page: Page,
) -> Result<List<WebhookFailure>> {
    webhooks.failures(name.as_str(), &page).await
}

/// Tells a backend events again.
///
/// Needs the role `admin`. Takes `since` for all that were announced from then on, in the order of their
/// streams, or `ids` for some, each by itself. What is not delivered yet is told in any case. Also turns
/// on a webhook that its backend has turned off with a 410.
#[utoipa::path(
    post,
    path = "/api/webhook-endpoints/{name}/replay",
    tag = "Webhooks",
    params(("name" = String, Path, description = "The webhook.")),
    request_body = ReplayEvents,
    responses((status = 204, description = "The events will be told again."), NoWebhook)
)]
async fn replay_webhook(
    State(webhooks): State<Webhooks>,
    _admin: AdminCaller,
    Path(name): Path<Id>,
    ValidBody(asked): ValidBody<ReplayEvents>,
) -> Result<StatusCode> {
    let replay = asked.which()?;
    answer(webhooks.replay(name.as_str(), replay), |()| StatusCode::NO_CONTENT).await
}
