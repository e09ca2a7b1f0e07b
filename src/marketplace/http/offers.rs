//! Offers over REST.

use axum::{Json, extract::State};
use http::StatusCode;

use crate::{
    auth::Caller,
    error::Result,
    http::{
        body::{Path, ValidBody},
        list::{List, Page},
    },
    id::Id,
    idempotency::answer,
    marketplace::{
        documents::{Offer, PurchaseRequest},
        requests::{CreateOffer, Reject},
        service::MarketplaceService,
    },
};

/// Makes an offer on an open request, for a seller. One at a time waits for the buyer.
#[utoipa::path(
    post,
    path = "/api/marketplace/requests/{id}/offers",
    tag = "Marketplace",
    params(("id" = String, Path, description = "The request.")),
    request_body = CreateOffer,
    responses((status = 201, description = "It is there.", body = Offer))
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

/// Lists the offers on a request, newest first: all for its buyer, their own for a seller.
#[utoipa::path(
    get,
    path = "/api/marketplace/requests/{id}/offers",
    tag = "Marketplace",
    params(("id" = String, Path, description = "The request."), Page),
    responses((status = 200, description = "A page of them.", body = List<Offer>))
)]
pub(super) async fn list_offers(
    State(marketplace): State<MarketplaceService>,
    caller: Caller,
    Path(id): Path<Id>,
    page: Page,
) -> Result<List<Offer>> {
    marketplace.offers(caller.identity, id, page).await
}

/// Takes an offer, for the request's buyer. The other offers are rejected with it.
#[utoipa::path(
    post,
    path = "/api/marketplace/offers/{id}/accept",
    tag = "Marketplace",
    params(("id" = String, Path, description = "The offer.")),
    responses((status = 200, description = "The request now.", body = PurchaseRequest))
)]
pub(super) async fn accept_offer(
    State(marketplace): State<MarketplaceService>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Json<PurchaseRequest>> {
    answer(marketplace.accept(caller.identity, id), Json).await
}

/// Does not take an offer, for the request's buyer. The body may be missing.
#[utoipa::path(
    post,
    path = "/api/marketplace/offers/{id}/reject",
    tag = "Marketplace",
    params(("id" = String, Path, description = "The offer.")),
    request_body = Option<Reject>,
    responses((status = 200, description = "The offer now.", body = Offer))
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

/// Takes an offer back, for its seller, as long as the buyer has not decided.
#[utoipa::path(
    delete,
    path = "/api/marketplace/offers/{id}",
    tag = "Marketplace",
    params(("id" = String, Path, description = "The offer.")),
    responses((status = 204, description = "It is withdrawn."))
)]
pub(super) async fn withdraw_offer(
    State(marketplace): State<MarketplaceService>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<StatusCode> {
    marketplace.withdraw(caller.identity, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
