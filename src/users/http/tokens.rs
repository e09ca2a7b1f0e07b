//! Tokens over REST.

use axum::{Json, extract::State};
use http::StatusCode;

use crate::{
    auth::ServiceCaller,
    error::Result,
    http::body::ValidBody,
    users::{Users, documents::MintedToken, requests::MintToken},
};

/// Makes a token for a user, for a backend service. It is signed with the shared secret; without one
/// this answers 503.
#[utoipa::path(
    post,
    path = "/api/auth/tokens",
    tag = "Auth",
    request_body = MintToken,
    responses((status = 201, description = "The token.", body = MintedToken))
)]
pub(super) async fn mint_token(
    State(users): State<Users>,
    service: ServiceCaller,
    ValidBody(asked): ValidBody<MintToken>,
) -> Result<(StatusCode, Json<MintedToken>)> {
    Ok((StatusCode::CREATED, Json(users.mint(&service, asked)?)))
}
