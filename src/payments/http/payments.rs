//! Payments over REST.

use axum::{Json, extract::State};
use http::StatusCode;

use crate::{
    auth::{Caller, ServiceCaller},
    error::Result,
    http::{
        body::{Body, Path, Query, ValidBody},
        list::{List, Page},
    },
    id::Id,
    idempotency::answer,
    payments::{
        documents::{Payment, PaymentView},
        requests::{ConfirmPayment, CreatePayment, Filter, SetEscrow},
        service::PaymentService,
    },
};

/// Begins a payment, for the request's buyer or a backend. The one of the same provider that is
/// under way is given back.
#[utoipa::path(
    post,
    path = "/api/payments",
    tag = "Payments",
    request_body = CreatePayment,
    responses(
        (status = 201, description = "It is begun.", body = Payment),
        (status = 200, description = "It was under way.", body = Payment),
    )
)]
pub(super) async fn create_payment(
    State(payments): State<PaymentService>,
    caller: Caller,
    ValidBody(request): ValidBody<CreatePayment>,
) -> Result<(StatusCode, Json<Payment>)> {
    answer(payments.pay(caller.identity, request), |(payment, begun)| {
        let status = if begun { StatusCode::CREATED } else { StatusCode::OK };
        (status, Json(payment))
    })
    .await
}

/// Lists the payments of the caller, who pays or is paid, newest first; for a backend all.
#[utoipa::path(
    get,
    path = "/api/payments",
    tag = "Payments",
    params(Filter, Page),
    responses((status = 200, description = "A page of them.", body = List<Payment>))
)]
pub(super) async fn list_payments(
    State(payments): State<PaymentService>,
    caller: Caller,
    Query(filter): Query<Filter>,
    page: Page,
) -> Result<List<Payment>> {
    payments.list(caller.identity, filter, page).await
}

/// Tells of a payment and all that happened to it, to its buyer, its seller and backends.
#[utoipa::path(
    get,
    path = "/api/payments/{id}",
    tag = "Payments",
    params(("id" = String, Path, description = "The payment.")),
    responses((status = 200, description = "The payment.", body = PaymentView))
)]
pub(super) async fn get_payment(
    State(payments): State<PaymentService>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Json<PaymentView>> {
    Ok(Json(payments.get(caller.identity, id).await?))
}

/// Confirms a payment by its transaction, for a backend that watches the chain. The same again
/// changes nothing.
#[utoipa::path(
    post,
    path = "/api/payments/{id}/confirm",
    tag = "Payments",
    params(("id" = String, Path, description = "The payment.")),
    request_body = ConfirmPayment,
    responses((status = 200, description = "It is paid.", body = Payment))
)]
pub(super) async fn confirm_payment(
    State(payments): State<PaymentService>,
    _service: ServiceCaller,
    Path(id): Path<Id>,
    ValidBody(confirm): ValidBody<ConfirmPayment>,
) -> Result<Json<Payment>> {
    answer(payments.confirm(id, confirm.tx_hash), |(payment, _)| Json(payment)).await
}

/// Notes where a confirmed payment's money lies: `held`, then `released` or `refunded`.
#[utoipa::path(
    post,
    path = "/api/payments/{id}/escrow",
    tag = "Payments",
    params(("id" = String, Path, description = "The payment.")),
    request_body = SetEscrow,
    responses((status = 200, description = "The payment now.", body = Payment))
)]
pub(super) async fn set_escrow(
    State(payments): State<PaymentService>,
    _service: ServiceCaller,
    Path(id): Path<Id>,
    Body(escrow): Body<SetEscrow>,
) -> Result<Json<Payment>> {
    answer(payments.set_escrow(id, escrow.escrow_state), Json).await
}
