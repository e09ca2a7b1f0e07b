//! Checkouts over REST.

use axum::{Json, extract::State};
use http::StatusCode;

use crate::{
    auth::{Caller, ServiceCaller},
    error::Result,
    http::body::{Path, ValidBody},
    id::Id,
    idempotency::answer,
    marketplace::{
        documents::Checkout,
        requests::{CheckoutPayment, CreateCheckout},
        service::MarketplaceService,
    },
};

/// Makes a checkout over several requests of the caller.
#[utoipa::path(
    post,
    path = "/api/marketplace/template-checkouts",
    tag = "Marketplace",
    request_body = CreateCheckout,
    responses((status = 201, description = "It is there.", body = Checkout))
)]
pub(super) async fn create_checkout(
    State(marketplace): State<MarketplaceService>,
    caller: Caller,
    ValidBody(request): ValidBody<CreateCheckout>,
) -> Result<(StatusCode, Json<Checkout>)> {
    answer(marketplace.check_out(caller.identity, request), |checkout| {
        (StatusCode::CREATED, Json(checkout))
    })
    .await
}

/// Tells of a checkout, to its buyer and the sellers in it.
#[utoipa::path(
    get,
    path = "/api/marketplace/template-checkouts/{id}",
    tag = "Marketplace",
    params(("id" = String, Path, description = "The checkout.")),
    responses((status = 200, description = "The checkout.", body = Checkout))
)]
pub(super) async fn get_checkout(
    State(marketplace): State<MarketplaceService>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Json<Checkout>> {
    Ok(Json(marketplace.checkout(caller.identity, id).await?))
}

/// Notes how far a checkout's payment is, for a backend. The same again changes nothing.
#[utoipa::path(
    post,
    path = "/api/marketplace/template-checkouts/{id}/payment",
    tag = "Marketplace",
    params(("id" = String, Path, description = "The checkout.")),
    request_body = CheckoutPayment,
    responses((status = 200, description = "The checkout now.", body = Checkout))
)]
pub(super) async fn pay_checkout(
    State(marketplace): State<MarketplaceService>,
    _service: ServiceCaller,
    Path(id): Path<Id>,
    ValidBody(payment): ValidBody<CheckoutPayment>,
) -> Result<Json<Checkout>> {
    answer(marketplace.pay_checkout(id, payment), Json).await
}
