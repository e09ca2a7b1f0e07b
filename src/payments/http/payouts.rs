//! Payouts over REST.

use axum::{Json, extract::State};
use http::{HeaderMap, Method, StatusCode, Uri};

use super::failures::{ProviderOff, ProviderRefused};
use crate::{
    auth::{OperatorCaller, ServiceCaller},
    error::Result,
    failures,
    id::Id,
    idempotency,
    payments::{
        documents::Payout,
        requests::{ChangePayout, CreatePayout},
        service::PaymentService,
    },
    rest::{
        body::{Path, ValidBody},
        list::{List, Page},
    },
};

failures! {
    /// The payout does not exist.
    NoPayout = NotFound, "There is no such payout.";
    /// The payment can't be paid out, or was before.
    NotPaidOut = Conflict, "This payment is paid out already, or about to be.";
    /// The payout has ended.
    PayoutEnded = Conflict, "The payout is through.";
}

/// Creates a payout to a seller.
///
/// Needs the role `service` or `admin`. A payment is paid out once. Without a `paymentId`, an
/// `Idempotency-Key` keeps a repeated request from paying twice.
#[utoipa::path(
    post,
    path = "/api/payouts",
    tag = "Payments",
    request_body = CreatePayout,
    responses(
        (
            status = 201,
            description = "Created; `pending` with a `reason` when it is not clear whether the provider took it.",
            body = Payout,
        ),
        NotPaidOut, ProviderOff, ProviderRefused,
    )
)]
pub(super) async fn create_payout(
    State(payments): State<PaymentService>,
    operator: OperatorCaller,
    uri: Uri,
    headers: HeaderMap,
    ValidBody(request): ValidBody<CreatePayout>,
) -> Result<(StatusCode, Json<Payout>)> {
    let caller = (operator.kind, &operator.identity.user_id);
    let name = idempotency::name_of(caller, &Method::POST, uri.path(), &headers)?;
    let payout = payments.pay_out(operator.identity, request, name).await?;
    Ok((StatusCode::CREATED, Json(payout)))
}

/// Lists payouts that need a look.
///
/// Needs the role `service` or `admin`. The oldest come first: those with a `reason`, those that are not
/// through an hour after they were begun, and those that failed while their payment waits to be paid out.
#[utoipa::path(
    get,
    path = "/api/payouts/unsettled",
    tag = "Payments",
    params(Page),
    responses((status = 200, description = "A page of payouts.", body = List<Payout>))
)]
pub(super) async fn list_unsettled_payouts(
    State(payments): State<PaymentService>,
    _operator: OperatorCaller,
    page: Page,
) -> Result<List<Payout>> {
    payments.unsettled_payouts(page).await
}

/// Returns a payout.
///
/// Needs the role `service` or `admin`.
#[utoipa::path(
    get,
    path = "/api/payouts/{id}",
    tag = "Payments",
    params(("id" = String, Path, description = "The payout.")),
    responses((status = 200, description = "The payout.", body = Payout), NoPayout)
)]
pub(super) async fn get_payout(
    State(payments): State<PaymentService>,
    _operator: OperatorCaller,
    Path(id): Path<Id>,
) -> Result<Json<Payout>> {
    Ok(Json(payments.payout(id).await?))
}

/// Updates the status of a payout.
///
/// Needs the role `service`. The same status again changes nothing.
#[utoipa::path(
    patch,
    path = "/api/payouts/{id}",
    tag = "Payments",
    params(("id" = String, Path, description = "The payout.")),
    request_body = ChangePayout,
    responses((status = 200, description = "The payout.", body = Payout), NoPayout, PayoutEnded)
)]
pub(super) async fn change_payout(
    State(payments): State<PaymentService>,
    service: ServiceCaller,
    Path(id): Path<Id>,
    ValidBody(change): ValidBody<ChangePayout>,
) -> Result<Json<Payout>> {
    let to = change.status;
    tracing::info!(by = %service.identity.user_id, payout = %id, ?to, "a payout's status is told");
    Ok(Json(payments.change_payout(id, change.status, change.tx_hash).await?))
}
