//! The marketplace over REST (docs/contract/rest.md#marketplace).

mod checkouts;
mod delivery;
mod failures;
mod offers;
mod requests;

use axum::extract::FromRef;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{moves, service::MarketplaceService};
use crate::{auth::Authenticator, rest::openapi};

/// The routes, under a heading that shows how a request moves.
pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Authenticator: FromRef<S>,
    MarketplaceService: FromRef<S>,
{
    let about = format!(
        "Purchase requests and what becomes of them. A request moves as this table says; any other \
         move is a 409.\n\n{}",
        moves::table()
    );
    openapi::under("Marketplace", about)
        .routes(routes!(requests::create_request, requests::list_requests))
        .routes(routes!(requests::get_request, requests::change_request))
        .routes(routes!(requests::cancel_request))
        .routes(routes!(requests::complete_request))
        .routes(routes!(offers::create_offer, offers::list_offers))
        .routes(routes!(offers::accept_offer))
        .routes(routes!(offers::reject_offer))
        .routes(routes!(offers::withdraw_offer))
        .routes(routes!(delivery::make_code))
        .routes(routes!(delivery::change_delivery))
        .routes(routes!(delivery::confirm_delivery))
        .routes(routes!(delivery::confirm_by_buyer))
        .routes(routes!(checkouts::create_checkout))
        .routes(routes!(checkouts::get_checkout))
        .routes(routes!(checkouts::pay_checkout))
}
