//! Checkouts over REST.

use axum::{Json, extract::State};
use http::StatusCode;

use super::failures::{CheckoutPaid, NoCheckout};
use crate::{
    auth::{Caller, ServiceCaller},
    error::Result,
    id::Id,
    idempotency::answer,
    marketplace::{
        documents::Checkout,
        requests::{CheckoutPayment, CreateCheckout},
        service::MarketplaceService,
    },
    rest::{
        body::{Path, ValidBody},
        failures::NoPerson,
    },
};

/// Creates a checkout of several requests.
///
/// For buyers, with requests of their own that are paid for together.
#[utoipa::path(
    post,
    path = "/api/marketplace/template-checkouts",
    tag = "Marketplace",
    request_body = CreateCheckout,
    responses((status = 201, description = "Created.", body = Checkout), NoPerson)
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

/// Returns a checkout.
///
/// Its buyer, the sellers in it, services and admins only; for everyone else it does not exist.
#[utoipa::path(
    get,
    path = "/api/marketplace/template-checkouts/{id}",
    tag = "Marketplace",
    params(("id" = String, Path, description = "The checkout.")),
    responses((status = 200, description = "The checkout.", body = Checkout), NoCheckout)
)]
pub(super) async fn get_checkout(
    State(marketplace): State<MarketplaceService>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Json<Checkout>> {
    Ok(Json(marketplace.checkout(caller.identity, id).await?))
}

/// Records the status of a checkout's payment.
///
/// Needs the role `service`. The buyer and the sellers are told. The same status again changes
/// nothing.
#[utoipa::path(
    post,
    path = "/api/marketplace/template-checkouts/{id}/payment",
    tag = "Marketplace",
    params(("id" = String, Path, description = "The checkout.")),
    request_body = CheckoutPayment,
    responses(
        (status = 200, description = "The checkout.", body = Checkout),
        NoCheckout, CheckoutPaid,
    )
)]
pub(super) async fn pay_checkout(
    State(marketplace): State<MarketplaceService>,
    _service: ServiceCaller,
    Path(id): Path<Id>,
    ValidBody(payment): ValidBody<CheckoutPayment>,
) -> Result<Json<Checkout>> {
    answer(marketplace.pay_checkout(id, payment), Json).await
}
