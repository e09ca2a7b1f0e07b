//! Payments over REST.

use axum::{Json, extract::State};
use http::StatusCode;

use super::failures::{ProviderOff, ProviderRefused};
use crate::{
    auth::{Caller, OperatorCaller, ServiceCaller},
    error::Result,
    failures,
    id::Id,
    idempotency::answer,
    payments::{
        documents::{Payment, PaymentView},
        requests::{ConfirmPayment, CreatePayment, Filter, SetEscrow, UnsettledFilter},
        service::PaymentService,
    },
    rest::{
        body::{Body, Path, Query, ValidBody},
        list::{List, Page},
    },
};

failures! {
    /// The request does not exist, or the caller may not pay for it.
    NoRequest = NotFound, "There is no such request.";
    /// The payment does not exist, or the caller may not know of it.
    NoPayment = NotFound, "There is no such payment.";
    /// The request has no accepted offer, is paid or cancelled, or its price is another.
    NotPayable = Conflict, "The request is open; this is for one that is accepted.";
    /// The coin was changed too often.
    CoinChanges = Conflict("coin_changes"),
        "The coin of this payment was changed too often; pay in the one that its invoice names.";
    /// The payment failed, or another transaction confirmed it.
    PaymentSettled = Conflict, "The payment is confirmed by another transaction.";
    /// The payment is not confirmed, or its money has gone elsewhere.
    NotConfirmed = Conflict, "The payment is not confirmed.";
}

/// Creates a payment.
///
/// For the buyer of the request and services. The request needs an accepted offer. A payment of the
/// same provider that is under way is returned instead of created twice.
#[utoipa::path(
    post,
    path = "/api/payments",
    tag = "Payments",
    request_body = CreatePayment,
    responses(
        (status = 201, description = "Created.", body = Payment),
        (status = 200, description = "The payment that is under way.", body = Payment),
        NoRequest, NotPayable, ProviderOff, ProviderRefused, CoinChanges,
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

/// Lists payments.
///
/// The newest come first. Users see those that they pay or are paid by, services and admins see
/// all.
#[utoipa::path(
    get,
    path = "/api/payments",
    tag = "Payments",
    params(Filter, Page),
    responses((status = 200, description = "A page of payments.", body = List<Payment>))
)]
pub(super) async fn list_payments(
    State(payments): State<PaymentService>,
    caller: Caller,
    Query(filter): Query<Filter>,
    page: Page,
) -> Result<List<Payment>> {
    payments.list(caller.identity, filter, page).await
}

/// Lists payments that wait for somebody.
///
/// Needs the role `service` or `admin`. The oldest come first. `unapplied`: confirmed, but they pay nothing;
/// they leave the list once their escrow is `refunded` or `released`. `partial`: a part came; they leave it
/// once the rest is here, or a backend confirms them.
#[utoipa::path(
    get,
    path = "/api/payments/unsettled",
    tag = "Payments",
    params(UnsettledFilter, Page),
    responses((status = 200, description = "A page of payments.", body = List<Payment>))
)]
pub(super) async fn list_unsettled_payments(
    State(payments): State<PaymentService>,
    _operator: OperatorCaller,
    Query(UnsettledFilter { kind }): Query<UnsettledFilter>,
    page: Page,
) -> Result<List<Payment>> {
    payments.unsettled(kind, page).await
}

/// Returns a payment with its ledger.
///
/// Its buyer, its seller, services and admins only; for everyone else it does not exist. The ledger
/// has all that happened to the payment, in order.
#[utoipa::path(
    get,
    path = "/api/payments/{id}",
    tag = "Payments",
    params(("id" = String, Path, description = "The payment.")),
    responses((status = 200, description = "The payment.", body = PaymentView), NoPayment)
)]
pub(super) async fn get_payment(
    State(payments): State<PaymentService>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Json<PaymentView>> {
    Ok(Json(payments.get(caller.identity, id).await?))
}

/// Confirms a payment by its transaction.
///
/// Needs the role `service`. For backends that watch the chain. The same transaction again changes
/// nothing.
#[utoipa::path(
    post,
    path = "/api/payments/{id}/confirm",
    tag = "Payments",
    params(("id" = String, Path, description = "The payment.")),
    request_body = ConfirmPayment,
    responses(
        (status = 200, description = "The payment, now confirmed.", body = Payment),
        NoPayment, PaymentSettled,
    )
)]
pub(super) async fn confirm_payment(
    State(payments): State<PaymentService>,
    service: ServiceCaller,
    Path(id): Path<Id>,
    ValidBody(confirm): ValidBody<ConfirmPayment>,
) -> Result<Json<Payment>> {
    tracing::info!(by = %service.identity.user_id, payment = %id, "a payment is to be confirmed");
    answer(payments.confirm(id, confirm.tx_hash), |(payment, _)| Json(payment)).await
}

/// Updates where a confirmed payment's money is.
///
/// Needs the role `service`. First `held`, then `released` or `refunded`. The same again changes
/// nothing.
#[utoipa::path(
    post,
    path = "/api/payments/{id}/escrow",
    tag = "Payments",
    params(("id" = String, Path, description = "The payment.")),
    request_body = SetEscrow,
    responses((status = 200, description = "The payment.", body = Payment), NoPayment, NotConfirmed)
)]
pub(super) async fn set_escrow(
    State(payments): State<PaymentService>,
    service: ServiceCaller,
    Path(id): Path<Id>,
    Body(escrow): Body<SetEscrow>,
) -> Result<Json<Payment>> {
    let to = escrow.escrow_state;
    tracing::info!(by = %service.identity.user_id, payment = %id, ?to, "a payment's money moves");
    answer(payments.set_escrow(id, escrow.escrow_state), Json).await
}
