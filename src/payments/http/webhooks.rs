//! Callbacks of SHKeeper. They are answered with exactly 202 once they are kept and processed;
//! after anything else they come again. Whom one is for is looked up before its body is read.

use axum::{Extension, extract::State};
use http::{HeaderMap, StatusCode};

use crate::{
    error::{Error, Result},
    failures, log_limit,
    payments::service::PaymentService,
    rest::{body::Path, client_address::ClientAddress, unread::UnreadBody},
};

failures! {
    /// The body is no callback, or did not arrive whole.
    NotReadable = Malformed, "The body is not JSON: expected value at line 1 column 1.";
    /// The signature is wrong, missing or old.
    NotBelieved = Unauthorized("invalid_signature"), "This is not believed: missing.";
    /// Nobody waits for a callback at this path.
    Unknown = NotFound, "Nothing is known of this.";
    /// The body did not arrive in time.
    TooSlow = Timeout, "The body took too long to arrive.";
    /// The body is larger than the limit.
    TooLarge = TooLarge, "The body is larger than this server takes here.";
    /// It tells of other money than was asked for.
    NotAsked = InvalidPayload at "/fiat", "is not the currency of the invoice";
    /// It tells of another payout than was asked for.
    OtherCoin = InvalidPayload at "/crypto", "is not the coin of this payout";
}

/// Receives the callback of an invoice.
///
/// For SHKeeper, which signs what it sends; the path has a part that only it was told. The callback
/// is stored and processed once, and answered with 202 alone.
#[utoipa::path(
    post,
    path = "/api/webhooks/shkeeper/{token}",
    tag = "Payments",
    params(("token" = String, Path, description = "The part of the path that only the provider was told.")),
    security(()),
    responses(
        (status = 202, description = "Stored and processed."),
        NotReadable, NotBelieved, Unknown, TooSlow, TooLarge, NotAsked,
    )
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

/// Receives the callback of a payout.
///
/// For SHKeeper, which signs what it sends; the path has a part that only it was told. The callback
/// is stored and processed once, and answered with 202 alone.
#[utoipa::path(
    post,
    path = "/api/webhooks/shkeeper/{token}/payouts",
    tag = "Payments",
    params(("token" = String, Path, description = "The part of the path that only the provider was told.")),
    security(()),
    responses(
        (status = 202, description = "Stored and processed."),
        NotReadable, NotBelieved, Unknown, TooSlow, TooLarge, OtherCoin,
    )
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
        let cause = error.causes().unwrap_or_default();
        tracing::warn!(code, cause, left_out, "a callback of shkeeper was refused");
    }
}
