//! Grants over REST (docs/contract/rest.md#emit).

use axum::extract::{FromRef, State};
use http::StatusCode;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Access;
use crate::{
    auth::{Authenticator, OperatorCaller},
    error::Result,
    http::body::Path,
    id::Id,
    room::Room,
};

/// The routes.
pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Access: FromRef<S>,
    Authenticator: FromRef<S>,
{
    OpenApiRouter::new().routes(routes!(grant, revoke))
}

/// Lets a user enter a room, whatever its kind. A second time changes nothing.
#[utoipa::path(
    put,
    path = "/api/rooms/{room}/members/{userId}",
    tag = "Emit",
    params(
        ("room" = String, Path, description = "The room's name."),
        ("userId" = String, Path, description = "The user."),
    ),
    responses((status = 204, description = "The user may enter."))
)]
async fn grant(
    State(access): State<Access>,
    operator: OperatorCaller,
    Path((room, user)): Path<(Room, Id)>,
) -> Result<StatusCode> {
    access.grant(user, room, operator.identity.user_id.clone()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes the right to enter back, if it was granted, and the user's sockets out of the room, as far
/// as they may not be in it by another right.
#[utoipa::path(
    delete,
    path = "/api/rooms/{room}/members/{userId}",
    tag = "Emit",
    params(
        ("room" = String, Path, description = "The room's name."),
        ("userId" = String, Path, description = "The user."),
    ),
    responses((status = 204, description = "The grant is gone, and so are the sockets that were in by it."))
)]
async fn revoke(
    State(access): State<Access>,
    _operator: OperatorCaller,
    Path((room, user)): Path<(Room, Id)>,
) -> Result<StatusCode> {
    access.revoke(user, room).await?;
    Ok(StatusCode::NO_CONTENT)
}
