//! Offers over REST.

use axum::{Json, extract::State};
use http::StatusCode;

use super::failures::{NoMoreOffers, NoOffer, NoRequest, OfferDecided};
use crate::{
    auth::Caller,
    error::Result,
    id::Id,
    idempotency::answer,
    marketplace::{
        documents::{Offer, PurchaseRequest},
        requests::{CreateOffer, Reject},
        service::MarketplaceService,
    },
    rest::{
        body::{Path, ValidBody},
        failures::NoPerson,
        list::{List, Page},
    },
};

/// Creates an offer on an open request.
///
/// For sellers. A seller has one pending offer on a request at a time.
#[utoipa::path(
    post,
    path = "/api/marketplace/requests/{id}/offers",
    tag = "Marketplace",
    params(("id" = String, Path, description = "The request.")),
    request_body = CreateOffer,
    responses(
        (status = 201, description = "Created.", body = Offer),
        NoRequest, NoMoreOffers, NoPerson,
    )
)]
pub(super) async fn create_offer(
    State(marketplace): State<MarketplaceService>,
    caller: Caller,
    Path(id): Path<Id>,
    ValidBody(offer): ValidBody<CreateOffer>,
) -> Result<(StatusCode, Json<Offer>)> {
    answer(marketplace.offer(caller.identity, id, offer), |offer| {
        (StatusCode::CREATED, Json(offer))
    })
    .await
}

/// Lists the offers on a request.
///
/// The newest come first. The buyer sees all of them, a seller their own.
#[utoipa::path(
    get,
    path = "/api/marketplace/requests/{id}/offers",
    tag = "Marketplace",
    params(("id" = String, Path, description = "The request."), Page),
    responses((status = 200, description = "A page of offers.", body = List<Offer>), NoRequest)
)]
pub(super) async fn list_offers(
    State(marketplace): State<MarketplaceService>,
    caller: Caller,
    Path(id): Path<Id>,
    page: Page,
) -> Result<List<Offer>> {
    marketplace.offers(caller.identity, id, page).await
}

/// Accepts an offer.
///
/// For the buyer of the request. The other pending offers are rejected.
#[utoipa::path(
    post,
    path = "/api/marketplace/offers/{id}/accept",
    tag = "Marketplace",
    params(("id" = String, Path, description = "The offer.")),
    responses(
        (status = 200, description = "The request, now accepted.", body = PurchaseRequest),
        NoOffer, OfferDecided,
    )
)]
pub(super) async fn accept_offer(
    State(marketplace): State<MarketplaceService>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Json<PurchaseRequest>> {
    answer(marketplace.accept(caller.identity, id), Json).await
}

/// Rejects an offer.
///
/// For the buyer of the request. The body may be left out.
#[utoipa::path(
    post,
    path = "/api/marketplace/offers/{id}/reject",
    tag = "Marketplace",
    params(("id" = String, Path, description = "The offer.")),
    request_body = Option<Reject>,
    responses(
        (status = 200, description = "The offer, now rejected.", body = Offer),
        NoOffer, OfferDecided,
    )
)]
pub(super) async fn reject_offer(
    State(marketplace): State<MarketplaceService>,
    caller: Caller,
    Path(id): Path<Id>,
    reject: Option<ValidBody<Reject>>,
) -> Result<Json<Offer>> {
    let reason = reject.and_then(|ValidBody(reject)| reject.reason);
    answer(marketplace.reject(caller.identity, id, reason), Json).await
}

/// Withdraws an offer.
///
/// For its seller, as long as the buyer has not decided.
#[utoipa::path(
    delete,
    path = "/api/marketplace/offers/{id}",
    tag = "Marketplace",
    params(("id" = String, Path, description = "The offer.")),
    responses((status = 204, description = "Withdrawn."), NoOffer, OfferDecided)
)]
pub(super) async fn withdraw_offer(
    State(marketplace): State<MarketplaceService>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<StatusCode> {
    marketplace.withdraw(caller.identity, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
