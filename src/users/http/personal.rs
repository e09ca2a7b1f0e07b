//! What is kept of somebody over REST: told, or erased.

use axum::{
    Extension,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header::CONTENT_TYPE};

use crate::{
    auth::{Caller, OperatorCaller},
    error::Result,
    failures,
    id::Id,
    rest::body::{Path, Recheck},
    users::Users,
};

failures! {
    /// Nothing is told of somebody meanwhile.
    Going = Conflict, "The user is being erased.";
}

/// Exports everything that is stored about a user.
///
/// For the user, services and admins. One JSON object a line, each with a `type`: `account`,
/// `user`, `conversation`, `message`, `reaction`, `request`, `offer`, `checkout`, `delivery`,
/// `payment`, `payout`, `notification`, `told`, `points`, `referral` or `grant`. Of conversations and
/// requests it has what the user wrote, not what others did; `told` is what others were told by their
/// name or in their words, such as why an offer was not taken.
///
/// The last line is `{"type":"end","lines":…}` with the number of lines before it. An answer without
/// it is not whole: the store went away, the user was erased or the caller revoked meanwhile. While a user is being
/// erased the answer is 409.
#[utoipa::path(
    get,
    path = "/api/users/{id}/export",
    tag = "Users",
    params(("id" = String, Path, description = "The user.")),
    responses(
        (
            status = 200,
            description = "The export, as JSON Lines.",
            body = String,
            content_type = "application/x-ndjson",
        ),
        Going,
    )
)]
pub(super) async fn export_user(
    State(users): State<Users>,
    caller: Caller,
    recheck: Option<Extension<Recheck>>,
    Path(id): Path<Id>,
) -> Result<Response> {
    let lines = users.export(&caller.identity, id).await?.into_data_stream();
    let lines = Recheck::guard(recheck.map(|Extension(recheck)| recheck), lines);
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

/// Erases a user.
///
/// Needs the role `service` or `admin`. Removes their account, profile, tokens, notifications,
/// points and grants, the content and names of their messages, their reactions, the words of their
/// requests, offers and deliveries, notifications of others that have their words or names, and the
/// stored events that show them. Others see their messages as deleted, without a name. Requests,
/// offers and payments stay, with the id alone; open requests are cancelled, pending offers withdrawn.
///
/// Their tokens are revoked and their sockets closed at once; the rest is done in the background,
/// also after a restart.
#[utoipa::path(
    delete,
    path = "/api/users/{id}",
    tag = "Users",
    params(("id" = String, Path, description = "The user.")),
    responses((status = 202, description = "Accepted; the erasure is under way."))
)]
pub(super) async fn erase_user(
    State(users): State<Users>,
    operator: OperatorCaller,
    Path(id): Path<Id>,
) -> Result<StatusCode> {
    users.erase(&operator.identity, id).await?;
    Ok(StatusCode::ACCEPTED)
}
