//! Revocations, blocks and disconnections over REST.

use axum::{Json, extract::State};
use http::StatusCode;

use crate::{
    auth::OperatorCaller,
    error::Result,
    http::body::{Path, ValidBody},
    id::Id,
    idempotency::answer,
    users::{
        Users,
        documents::Disconnected,
        requests::{BlockUser, DisconnectUser, Revoke},
    },
};

/// Revokes tokens, for services and admins: those of a user or of everyone that were issued before a
/// moment, or one by its id. Who comes with one is refused, on REST and at the handshake; the sockets
/// that came with one are told `session:closing` `revoked` and closed. It outlasts a restart.
///
/// A token that does not say when it was issued is older than any moment, and one that tells its second
/// alone was issued at the beginning of that: made in the second in which its user's were revoked, it is
/// revoked too. Tokens of this server tell the millisecond. API keys are not concerned.
#[utoipa::path(
    post,
    path = "/api/auth/revocations",
    tag = "Auth",
    request_body = Revoke,
    responses((status = 204, description = "They are revoked."))
)]
pub(super) async fn revoke_tokens(
    State(users): State<Users>,
    operator: OperatorCaller,
    ValidBody(named): ValidBody<Revoke>,
) -> Result<StatusCode> {
    users.revoke_named(&operator.identity, named).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Closes a user's sockets, for services and admins. They are told `session:closing` `disconnected`, and
/// may come back.
#[utoipa::path(
    post,
    path = "/api/users/{id}/disconnect",
    tag = "Users",
    params(("id" = String, Path, description = "The user.")),
    request_body = Option<DisconnectUser>,
    responses((status = 200, description = "They are closed.", body = Disconnected))
)]
pub(super) async fn disconnect_user(
    State(users): State<Users>,
    operator: OperatorCaller,
    Path(id): Path<Id>,
    asked: Option<ValidBody<DisconnectUser>>,
) -> Json<Disconnected> {
    let asked = asked.map(|ValidBody(asked)| asked).unwrap_or_default();
    Json(Disconnected { disconnected: users.disconnect(&operator.identity, &id, asked).await })
}

/// Shuts a user out, for services and admins, instead of until another time: no handshake, no REST (403
/// `user_blocked`), whatever their tokens; their sockets are told `session:closing` `revoked` and closed.
/// It outlasts a restart.
#[utoipa::path(
    post,
    path = "/api/users/{id}/block",
    tag = "Users",
    params(("id" = String, Path, description = "The user.")),
    request_body = Option<BlockUser>,
    responses((status = 204, description = "They are shut out."))
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

/// Lets a user in again, for services and admins. Tokens that were revoked stay so.
#[utoipa::path(
    delete,
    path = "/api/users/{id}/block",
    tag = "Users",
    params(("id" = String, Path, description = "The user.")),
    responses((status = 204, description = "They are not shut out any more."))
)]
pub(super) async fn unblock_user(
    State(users): State<Users>,
    operator: OperatorCaller,
    Path(id): Path<Id>,
) -> Result<StatusCode> {
    users.unblock(&operator.identity, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
