//! Callbacks of SHKeeper. They are answered with exactly 202 once they are kept and processed;
//! after anything else they come again. Whom one is for is looked up before its body is read.

use axum::{Extension, extract::State};
use http::{HeaderMap, StatusCode};

use crate::{
    error::{Error, Result},
    http::{body::Path, client_address::ClientAddress, unread::UnreadBody},
    log_limit,
    payments::service::PaymentService,
};

/// Hears from SHKeeper of money for an invoice. Signed, and answered with 202 alone.
#[utoipa::path(
    post,
    path = "/api/webhooks/shkeeper/{token}",
    tag = "Payments",
    params(("token" = String, Path, description = "The part of the path that only the provider was told.")),
    security(()),
    responses((status = 202, description = "It is kept and done."))
)]
pub(super) async fn invoice(
    State(payments): State<PaymentService>,
    Path(token): Path<String>,
    address: Option<Extension<ClientAddress>>,
    headers: HeaderMap,
    body: UnreadBody,
) -> Result<StatusCode> {
    let heard = async {
        let payment = payments.payment_called(token).await?;
        payments.invoice_callback(payment, headers, body.read().await?).await
    };
    heard.await.inspect_err(|error| log(error, address))?;
    Ok(StatusCode::ACCEPTED)
}

/// Hears from SHKeeper of a payout that is through. Signed, and answered with 202 alone.
#[utoipa::path(
    post,
    path = "/api/webhooks/shkeeper/{token}/payouts",
    tag = "Payments",
    params(("token" = String, Path, description = "The part of the path that only the provider was told.")),
    security(()),
    responses((status = 202, description = "It is kept and done."))
)]
pub(super) async fn payout(
    State(payments): State<PaymentService>,
    Path(token): Path<String>,
    address: Option<Extension<ClientAddress>>,
    headers: HeaderMap,
    body: UnreadBody,
) -> Result<StatusCode> {
    let heard = async {
        let payout = payments.payout_called(token).await?;
        payments.payout_callback(payout, headers, body.read().await?).await
    };
    heard.await.inspect_err(|error| log(error, address))?;
    Ok(StatusCode::ACCEPTED)
}

/// Nobody else tells an operator of a refused callback; failures of ours are logged where they are
/// answered.
fn log(error: &Error, address: Option<Extension<ClientAddress>>) {
    if error.code().status().is_server_error() {
        return;
    }
    let code = error.code_name();
    let address = address.map(|Extension(ClientAddress(address))| address);
    if let Some(left_out) = log_limit::admit("callback", address, code) {
        let cause = error.cause().map(ToString::to_string).unwrap_or_default();
        tracing::warn!(code, cause, left_out, "a callback of shkeeper was refused");
    }
}
