//! Grants over REST (docs/contract/rest.md#emit).

use axum::extract::{FromRef, State};
use http::StatusCode;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::service::Access;
use crate::{
    auth::{Authenticator, OperatorCaller},
    error::Result,
    id::Id,
    rest::body::Path,
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

/// Grants a user the right to enter a room.
///
/// Needs the role `service` or `admin`. The room may be of any kind. Granting it again changes
/// nothing.
#[utoipa::path(
    put,
    path = "/api/rooms/{room}/members/{userId}",
    tag = "Emit",
    params(
        ("room" = String, Path, description = "The room's name."),
        ("userId" = String, Path, description = "The user."),
    ),
    responses((status = 204, description = "Granted."))
)]
async fn grant(
    State(access): State<Access>,
    operator: OperatorCaller,
    Path((room, user)): Path<(Room, Id)>,
) -> Result<StatusCode> {
    let kind = room.kind();
    access.grant(user.clone(), room, operator.identity.user_id.clone()).await?;
    tracing::info!(by = %operator.identity.user_id, %user, kind, "a user may enter a room");
    Ok(StatusCode::NO_CONTENT)
}

/// Revokes a user's right to enter a room.
///
/// Needs the role `service` or `admin`. The user's sockets leave the room, unless they may be in it
/// by another right. Revoking what was not granted changes nothing.
#[utoipa::path(
    delete,
    path = "/api/rooms/{room}/members/{userId}",
    tag = "Emit",
    params(
        ("room" = String, Path, description = "The room's name."),
        ("userId" = String, Path, description = "The user."),
    ),
    responses((status = 204, description = "Revoked."))
)]
async fn revoke(
    State(access): State<Access>,
    operator: OperatorCaller,
    Path((room, user)): Path<(Room, Id)>,
) -> Result<StatusCode> {
    let kind = room.kind();
    access.revoke(user.clone(), room).await?;
    tracing::info!(by = %operator.identity.user_id, %user, kind, "a user's right to a room is taken back");
    Ok(StatusCode::NO_CONTENT)
}
