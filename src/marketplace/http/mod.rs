//! The marketplace over REST (docs/contract/rest.md#marketplace).

mod checkouts;
mod delivery;
mod offers;
mod requests;

use axum::extract::FromRef;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{moves, service::MarketplaceService};
use crate::{auth::Authenticator, failures, http::openapi};

failures! {
    /// The request does not exist, or the caller may not know of it.
    NoRequest = NotFound, "There is no such request.";
    /// The offer does not exist, or the caller may not know of it.
    NoOffer = NotFound, "There is no such offer.";
    /// The checkout does not exist, or the caller may not know of it.
    NoCheckout = NotFound, "There is no such checkout.";
    /// The checkout is paid.
    CheckoutPaid = Conflict, "The checkout is paid.";
    /// The request is not open any more.
    NotOpen = Conflict, "Only an open request can be changed.";
    /// The request takes no more offers, is the caller's own, or has an offer of theirs.
    NoMoreOffers = Conflict, "The request takes no more offers.";
    /// The offer is decided.
    OfferDecided = Conflict, "The offer is withdrawn.";
    /// The request is not paid yet, or delivered already.
    NotPaid = Conflict, "This is for a request that is paid or shipped.";
    /// The request is not shipped, or delivered already.
    NotShipped = Conflict, "The request is paid; this is for one that is shipped.";
    /// The request is not shipped, or completed already.
    NotReceived = Conflict, "The request is not shipped, or done already.";
    /// The request is not delivered, or completed already.
    NotDelivered = Conflict, "The request is shipped; this is for one that is delivered.";
    /// The request is paid, or cancelled already.
    NotCancellable = Conflict,
        "The request is cancelled; this is for one that is open or accepted.";
    /// The delivery code was tried five times.
    CodeUsedUp = Conflict("delivery_code_used_up"),
        "This delivery code is used up; the seller has to make another.";
}

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
