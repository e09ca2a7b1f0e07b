//! What is kept of somebody over REST: told, or erased.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header::CONTENT_TYPE};

use crate::{
    auth::{Caller, OperatorCaller},
    error::Result,
    http::body::Path,
    id::Id,
    users::Users,
};

/// Tells everything that is kept of a user, for the user, services and admins: JSON Lines, one object a
/// line with a `type`: `account` `user` `conversation` `message` `reaction` `request` `offer` `checkout`
/// `delivery` `payment` `payout` `notification` `told` `points` `referral` `grant`. Of conversations and
/// requests it has what the user wrote, not what others did; `told` is what others were told by their
/// name or in their words, such as why an offer was not taken.
///
/// The last line is `{"type":"end","lines":…}` with how many come before it. An answer without it is not
/// whole: the store went away, or the user was erased meanwhile. Of somebody who is being erased there is
/// none: 409.
#[utoipa::path(
    get,
    path = "/api/users/{id}/export",
    tag = "Users",
    params(("id" = String, Path, description = "The user.")),
    responses((
        status = 200, description = "The lines.", body = String, content_type = "application/x-ndjson"
    ))
)]
pub(super) async fn export_user(
    State(users): State<Users>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Response> {
    let lines = users.export(&caller.identity, id).await?;
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], lines).into_response())
}

/// Erases a user, for services and admins: account, profile, tokens, notifications, points, grants, the
/// content and names of their messages, their reactions, the words of their requests, offers and
/// deliveries, notifications of others that have any of their words or names, and the kept events that
/// show them. Others see their messages as deleted, by nobody's name. Requests, offers
/// and payments stay, with the id alone; requests that are open are called off, offers that wait are
/// withdrawn.
///
/// Their tokens are revoked and their sockets closed at once; the rest is done beside, also after a
/// restart.
#[utoipa::path(
    delete,
    path = "/api/users/{id}",
    tag = "Users",
    params(("id" = String, Path, description = "The user.")),
    responses((status = 202, description = "It is being done."))
)]
pub(super) async fn erase_user(
    State(users): State<Users>,
    operator: OperatorCaller,
    Path(id): Path<Id>,
) -> Result<StatusCode> {
    users.erase(&operator.identity, id).await?;
    Ok(StatusCode::ACCEPTED)
}
