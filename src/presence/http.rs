//! Presence over REST (docs/contract/rest.md#presence).

use axum::{
    Json,
    extract::{FromRef, State},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{registry::Status, service::Presence};
use crate::{
    auth::{Authenticator, Caller},
    error::{Error, Result},
    id::Id,
    rest::{
        body::{Body, Path},
        openapi,
    },
};

/// Users asked for at once.
const MAX_USERS: usize = 500;

/// The routes.
pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Authenticator: FromRef<S>,
    Presence: FromRef<S>,
{
    openapi::under("Presence", "Who is online, and since when.")
        .routes(routes!(get_presence))
        .routes(routes!(query_presence))
}

/// Returns a user's presence.
///
/// Where presence is for contacts only (`PRESENCE_AUDIENCE`), a stranger appears as a user who was
/// never online.
#[utoipa::path(
    get,
    path = "/api/presence/{userId}",
    tag = "Presence",
    params(("userId" = String, Path, description = "The user.")),
    responses((status = 200, description = "The user's presence.", body = Status))
)]
async fn get_presence(
    State(presence): State<Presence>,
    caller: Caller,
    Path(user): Path<Id>,
) -> Result<Json<Status>> {
    let mut statuses = presence.statuses(&caller.identity, &[user]).await?;
    statuses.pop().map(Json).ok_or_else(|| Error::internal("no status of a user"))
}

/// Users to ask for.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PresenceQuery {
    /// 1–500 of them.
    #[schema(min_items = 1, max_items = 500)]
    user_ids: Vec<Id>,
}

/// How they stand, in the order asked.
#[derive(Serialize, ToSchema)]
struct PresenceAnswer {
    items: Vec<Status>,
}

/// Returns the presence of several users.
///
/// Up to 500 users, answered in the order in which they were asked for. Users whom the caller may
/// not see appear as users who were never online.
#[utoipa::path(
    post,
    path = "/api/presence/query",
    tag = "Presence",
    request_body = PresenceQuery,
    responses((status = 200, description = "The presence of each user.", body = PresenceAnswer))
)]
async fn query_presence(
    State(presence): State<Presence>,
    caller: Caller,
    Body(query): Body<PresenceQuery>,
) -> Result<Json<PresenceAnswer>> {
    if query.user_ids.is_empty() || query.user_ids.len() > MAX_USERS {
        return Err(Error::invalid("/userIds", format!("has 1–{MAX_USERS} items")));
    }
    let items = presence.statuses(&caller.identity, &query.user_ids).await?;
    Ok(Json(PresenceAnswer { items }))
}
