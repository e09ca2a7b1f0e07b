//! Presence over REST (docs/contract/rest.md#presence).

use axum::{
    Json,
    extract::{FromRef, State},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::registry::{Presence, Status};
use crate::{
    auth::{Authenticator, Caller},
    error::{Error, Result},
    http::body::{Body, Path},
    id::Id,
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
    OpenApiRouter::new().routes(routes!(get_presence)).routes(routes!(query_presence))
}

/// Tells whether a user is here.
#[utoipa::path(
    get,
    path = "/api/presence/{userId}",
    tag = "Presence",
    params(("userId" = String, Path, description = "The user.")),
    responses((status = 200, description = "How the user stands.", body = Status))
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

/// Tells whether some users are here.
#[utoipa::path(
    post,
    path = "/api/presence/query",
    tag = "Presence",
    request_body = PresenceQuery,
    responses((status = 200, description = "How each stands.", body = PresenceAnswer))
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
