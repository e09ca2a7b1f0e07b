//! Users over REST (docs/contract/rest.md#users and docs/contract/rest.md#auth).

mod people;
mod personal;
mod shut_out;
mod tokens;

use axum::extract::FromRef;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Users;
use crate::{auth::Authenticator, rest::openapi};

/// The routes.
pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Authenticator: FromRef<S>,
    Users: FromRef<S>,
{
    openapi::under(
        "Users",
        "Profiles, sockets, blocks, and everything that is stored about a user.",
    )
    .routes(routes!(tokens::mint_token))
    .routes(routes!(shut_out::revoke_tokens))
    .routes(routes!(people::put_user, people::get_user, personal::erase_user))
    .routes(routes!(personal::export_user))
    .routes(routes!(shut_out::disconnect_user))
    .routes(routes!(shut_out::block_user, shut_out::unblock_user))
}
