//! Requests over REST.

use axum::{Extension, Json, extract::State};
use http::StatusCode;

use crate::{
    auth::Caller,
    error::Result,
    http::{
        body::{Path, Query, ValidBody},
        list::{List, Page},
    },
    id::Id,
    idempotency::{Subject, answer},
    marketplace::{
        documents::PurchaseRequest,
        requests::{Cancel, ChangeRequest, CreateRequest, Filter},
        service::MarketplaceService,
    },
};

/// Makes a request, for a buyer.
#[utoipa::path(
    post,
    path = "/api/marketplace/requests",
    tag = "Marketplace",
    request_body = CreateRequest,
    responses((status = 201, description = "It is there.", body = PurchaseRequest))
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

/// Lists requests, newest first: a buyer's own; for a seller those that are open or theirs.
#[utoipa::path(
    get,
    path = "/api/marketplace/requests",
    tag = "Marketplace",
    params(Filter, Page),
    responses((status = 200, description = "A page of them.", body = List<PurchaseRequest>))
)]
pub(super) async fn list_requests(
    State(marketplace): State<MarketplaceService>,
    caller: Caller,
    Query(filter): Query<Filter>,
    page: Page,
) -> Result<List<PurchaseRequest>> {
    marketplace.list(caller.identity, filter, page).await
}

/// Tells of a request, to who takes part in it and to sellers while it is open.
#[utoipa::path(
    get,
    path = "/api/marketplace/requests/{id}",
    tag = "Marketplace",
    params(("id" = String, Path, description = "The request.")),
    responses((status = 200, description = "The request.", body = PurchaseRequest))
)]
pub(super) async fn get_request(
    State(marketplace): State<MarketplaceService>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Json<PurchaseRequest>> {
    Ok(Json(marketplace.get(caller.identity, id).await?))
}

/// Changes an open request, for its buyer. What is not given stays.
#[utoipa::path(
    patch,
    path = "/api/marketplace/requests/{id}",
    tag = "Marketplace",
    params(("id" = String, Path, description = "The request.")),
    request_body = ChangeRequest,
    responses((status = 200, description = "The request now.", body = PurchaseRequest))
)]
pub(super) async fn change_request(
    State(marketplace): State<MarketplaceService>,
    caller: Caller,
    Path(id): Path<Id>,
    ValidBody(change): ValidBody<ChangeRequest>,
) -> Result<Json<PurchaseRequest>> {
    Ok(Json(marketplace.change(caller.identity, id, change).await?))
}

/// Calls a request off before it is paid, for its buyer or an admin.
#[utoipa::path(
    post,
    path = "/api/marketplace/requests/{id}/cancel",
    tag = "Marketplace",
    params(("id" = String, Path, description = "The request.")),
    request_body = Cancel,
    responses((status = 200, description = "It is called off.", body = PurchaseRequest))
)]
pub(super) async fn cancel_request(
    State(marketplace): State<MarketplaceService>,
    caller: Caller,
    Path(id): Path<Id>,
    ValidBody(cancel): ValidBody<Cancel>,
) -> Result<Json<PurchaseRequest>> {
    answer(marketplace.cancel(caller.identity, id, cancel.reason), Json).await
}

/// Calls a delivered request done, for its buyer or a backend.
#[utoipa::path(
    post,
    path = "/api/marketplace/requests/{id}/complete",
    tag = "Marketplace",
    params(("id" = String, Path, description = "The request.")),
    responses((status = 200, description = "It is done.", body = PurchaseRequest))
)]
pub(super) async fn complete_request(
    State(marketplace): State<MarketplaceService>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Json<PurchaseRequest>> {
    answer(marketplace.complete(caller.identity, id), Json).await
}
