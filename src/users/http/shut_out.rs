//! Revocations, blocks and disconnections over REST.

use axum::{Json, extract::State};
use http::StatusCode;

use crate::{
    auth::OperatorCaller,
    error::Result,
    id::Id,
    idempotency::answer,
    rest::body::{Path, ValidBody},
    users::{
        Users,
        documents::Disconnected,
        requests::{BlockUser, DisconnectUser, Revoke},
    },
};

/// Revokes tokens.
///
/// Needs the role `service` or `admin`. Takes `jti` for one token (with `userId` for that user's alone),
/// `userId` (with or without `issuedBefore`) for those of a user, or `issuedBefore` alone for everyone's.
/// Requests and handshakes with them are refused; sockets that were opened with them are told
/// `session:closing` with the reason `revoked` and closed. API keys are not affected.
///
/// A token that does not say when it was issued counts as older than any moment. `userId` alone revokes
/// all that are there now. As the clock of another app may be ahead by `auth.leeway` (5 s), that includes
/// its tokens whose `iat` lies up to so long after now; tokens of this server tell the millisecond by its
/// own clock. With `issuedBefore` the `iat` counts as it stands: a backend that makes new tokens at once
/// gives the time of those.
#[utoipa::path(
    post,
    path = "/api/auth/revocations",
    tag = "Auth",
    request_body = Revoke,
    responses((status = 204, description = "Revoked."))
)]
pub(super) async fn revoke_tokens(
    State(users): State<Users>,
    operator: OperatorCaller,
    ValidBody(named): ValidBody<Revoke>,
) -> Result<StatusCode> {
    users.revoke_named(&operator.identity, named).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Closes a user's sockets.
///
/// Needs the role `service` or `admin`. The sockets are told `session:closing` with the reason
/// `disconnected`, and may connect again. The body may be left out.
#[utoipa::path(
    post,
    path = "/api/users/{id}/disconnect",
    tag = "Users",
    params(("id" = String, Path, description = "The user.")),
    request_body = Option<DisconnectUser>,
    responses((status = 200, description = "How many sockets were closed.", body = Disconnected))
)]
pub(super) async fn disconnect_user(
    State(users): State<Users>,
    operator: OperatorCaller,
    Path(id): Path<Id>,
    asked: Option<ValidBody<DisconnectUser>>,
) -> Result<Json<Disconnected>> {
    let asked = asked.map(|ValidBody(asked)| asked).unwrap_or_default();
    let disconnected = users.disconnect(&operator.identity, &id, asked).await?;
    Ok(Json(Disconnected { disconnected }))
}

/// Blocks a user.
///
/// Needs the role `service` or `admin`. Until the block ends, every request and handshake of theirs
/// is refused (403 `user_blocked`), whatever their tokens; their sockets are told `session:closing`
/// with the reason `revoked` and closed. A block replaces the one before. The body may be left out.
#[utoipa::path(
    post,
    path = "/api/users/{id}/block",
    tag = "Users",
    params(("id" = String, Path, description = "The user.")),
    request_body = Option<BlockUser>,
    responses((status = 204, description = "Blocked."))
)]
pub(super) async fn block_user(
    State(users): State<Users>,
    operator: OperatorCaller,
    Path(id): Path<Id>,
    asked: Option<ValidBody<BlockUser>>,
) -> Result<StatusCode> {
    let asked = asked.map(|ValidBody(asked)| asked).unwrap_or_default();
    answer(users.block(&operator.identity, id, asked), |()| StatusCode::NO_CONTENT).await
}

/// Ends a user's block.
///
/// Needs the role `service` or `admin`. Tokens that were revoked stay revoked. Without a block this
/// changes nothing.
#[utoipa::path(
    delete,
    path = "/api/users/{id}/block",
    tag = "Users",
    params(("id" = String, Path, description = "The user.")),
    responses((status = 204, description = "Unblocked."))
)]
pub(super) async fn unblock_user(
    State(users): State<Users>,
    operator: OperatorCaller,
    Path(id): Path<Id>,
) -> Result<StatusCode> {
    users.unblock(&operator.identity, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
