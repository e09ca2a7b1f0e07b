//! Requests over REST.

use axum::{Extension, Json, extract::State};
use http::StatusCode;

use super::failures::{NoRequest, NotCancellable, NotDelivered, NotOpen};
use crate::{
    auth::Caller,
    error::Result,
    id::Id,
    idempotency::{Subject, answer},
    marketplace::{
        documents::PurchaseRequest,
        requests::{Cancel, ChangeRequest, CreateRequest, Filter},
        service::MarketplaceService,
    },
    rest::{
        body::{Path, Query, ValidBody},
        failures::NoPerson,
        list::{List, Page},
    },
};

/// Creates a purchase request.
///
/// For buyers. Sellers are told of it.
#[utoipa::path(
    post,
    path = "/api/marketplace/requests",
    tag = "Marketplace",
    request_body = CreateRequest,
    responses((status = 201, description = "Created.", body = PurchaseRequest), NoPerson)
)]
pub(super) async fn create_request(
    State(marketplace): State<MarketplaceService>,
    caller: Caller,
    ValidBody(request): ValidBody<CreateRequest>,
) -> Result<(StatusCode, Extension<Subject>, Json<PurchaseRequest>)> {
    answer(marketplace.create(caller.identity, request), |request| {
        (StatusCode::CREATED, Extension(Subject(request.id.clone())), Json(request))
    })
    .await
}

/// Lists purchase requests.
///
/// The newest come first. Buyers see their own, sellers see open ones and those they take part in,
/// services and admins see all.
#[utoipa::path(
    get,
    path = "/api/marketplace/requests",
    tag = "Marketplace",
    params(Filter, Page),
    responses((status = 200, description = "A page of requests.", body = List<PurchaseRequest>))
)]
pub(super) async fn list_requests(
    State(marketplace): State<MarketplaceService>,
    caller: Caller,
    Query(filter): Query<Filter>,
    page: Page,
) -> Result<List<PurchaseRequest>> {
    marketplace.list(caller.identity, filter, page).await
}

/// Returns a purchase request.
///
/// Its buyer, sellers with an offer on it, services and admins only, and every seller while it is
/// open; for everyone else it does not exist.
#[utoipa::path(
    get,
    path = "/api/marketplace/requests/{id}",
    tag = "Marketplace",
    params(("id" = String, Path, description = "The request.")),
    responses((status = 200, description = "The request.", body = PurchaseRequest), NoRequest)
)]
pub(super) async fn get_request(
    State(marketplace): State<MarketplaceService>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Json<PurchaseRequest>> {
    Ok(Json(marketplace.get(caller.identity, id).await?))
}

/// Updates an open purchase request.
///
/// For its buyer. Fields that are missing stay as they are.
#[utoipa::path(
    patch,
    path = "/api/marketplace/requests/{id}",
    tag = "Marketplace",
    params(("id" = String, Path, description = "The request.")),
    request_body = ChangeRequest,
    responses(
        (status = 200, description = "The request.", body = PurchaseRequest),
        NoRequest, NotOpen,
    )
)]
pub(super) async fn change_request(
    State(marketplace): State<MarketplaceService>,
    caller: Caller,
    Path(id): Path<Id>,
    ValidBody(change): ValidBody<ChangeRequest>,
) -> Result<Json<PurchaseRequest>> {
    Ok(Json(marketplace.change(caller.identity, id, change).await?))
}

/// Cancels a purchase request.
///
/// For its buyer and admins, before it is paid. Pending offers end with it.
#[utoipa::path(
    post,
    path = "/api/marketplace/requests/{id}/cancel",
    tag = "Marketplace",
    params(("id" = String, Path, description = "The request.")),
    request_body = Cancel,
    responses(
        (status = 200, description = "The request, now cancelled.", body = PurchaseRequest),
        NoRequest, NotCancellable,
    )
)]
pub(super) async fn cancel_request(
    State(marketplace): State<MarketplaceService>,
    caller: Caller,
    Path(id): Path<Id>,
    ValidBody(cancel): ValidBody<Cancel>,
) -> Result<Json<PurchaseRequest>> {
    answer(marketplace.cancel(caller.identity, id, cancel.reason), Json).await
}

/// Completes a delivered purchase request.
///
/// For its buyer and services.
#[utoipa::path(
    post,
    path = "/api/marketplace/requests/{id}/complete",
    tag = "Marketplace",
    params(("id" = String, Path, description = "The request.")),
    responses(
        (status = 200, description = "The request, now completed.", body = PurchaseRequest),
        NoRequest, NotDelivered,
    )
)]
pub(super) async fn complete_request(
    State(marketplace): State<MarketplaceService>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Json<PurchaseRequest>> {
    answer(marketplace.complete(caller.identity, id), Json).await
}
