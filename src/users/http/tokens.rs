//! Tokens over REST.

use axum::{Json, extract::State};
use http::StatusCode;

use crate::{
    auth::ServiceCaller,
    error::Result,
    failures,
    rest::body::ValidBody,
    users::{Users, documents::MintedToken, requests::MintToken},
};

failures! {
    /// The user is blocked.
    Blocked = Conflict, "This user is blocked.";
    /// The server has no secret to sign tokens with.
    NoSigningKey = Unavailable("no_signing_key"),
        "This server has no secret to sign tokens with (JWT_SECRET).";
}

/// Creates a token for a user.
///
/// Needs the role `service`. Tokens with the role `admin` or `service` are for API keys alone to
/// create. The token is signed with the shared secret (`JWT_SECRET`).
///
/// An `Idempotency-Key` changes nothing: answers with tokens are not kept. Sent again it creates another.
#[utoipa::path(
    post,
    path = "/api/auth/tokens",
    tag = "Auth",
    request_body = MintToken,
    responses((status = 201, description = "The token.", body = MintedToken), Blocked, NoSigningKey)
)]
pub(super) async fn mint_token(
    State(users): State<Users>,
    service: ServiceCaller,
    ValidBody(asked): ValidBody<MintToken>,
) -> Result<(StatusCode, Json<MintedToken>)> {
    Ok((StatusCode::CREATED, Json(users.mint(&service, asked)?)))
}
