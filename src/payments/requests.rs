//! What callers ask of payments, and the rules of its fields (docs/contract/rest.md#payments).

use garde::Validate;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::events::{EscrowState, PaymentProvider, PayoutStatus};
use crate::{
    id::Id,
    money::{self, Amount, Currency},
};

/// A payment to create.
#[derive(Clone, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct CreatePayment {
    /// What is paid for: a request with an accepted offer.
    pub(super) request_id: Id,
    /// Who handles it.
    pub(super) provider: PaymentProvider,
    /// How much; without it the price of the accepted offer. Only a backend may name
    /// another, and none below it.
    #[garde(inner(custom(money::positive)))]
    pub(super) amount: Option<Amount>,
    /// In which currency; without it that of the accepted offer.
    pub(super) currency: Option<Currency>,
    /// With SHKeeper, in which coin the buyer pays; without it the configured one.
    pub(super) crypto: Option<Currency>,
}

/// Which payments to list.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Only those for this request.
    #[param(value_type = Option<String>)]
    pub(super) request_id: Option<Id>,
}

/// Which payments wait for somebody.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct UnsettledFilter {
    /// In which way; without it `unapplied`.
    #[serde(default)]
    #[param(inline, required = false)]
    pub(super) kind: Unsettled,
}

/// How a payment waits for somebody.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Unsettled {
    /// It is confirmed and pays nothing: it is not the price, or its request was called off or paid before.
    #[default]
    Unapplied,
    /// A part of it came.
    Partial,
}

/// A transaction that pays.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ConfirmPayment {
    /// Its name on its chain.
    #[garde(length(bytes, min = 1, max = 200), custom(printable))]
    #[schema(min_length = 1, max_length = 200)]
    pub(super) tx_hash: String,
}

/// Where a payment's money is.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SetEscrow {
    /// The new state.
    pub(super) escrow_state: EscrowState,
}

/// A payout to create.
#[derive(Clone, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct CreatePayout {
    /// Who is paid.
    pub(super) seller_id: Id,
    /// The payment that is handed on; it can be paid out once.
    pub(super) payment_id: Option<Id>,
    /// How much.
    #[garde(custom(money::positive))]
    pub(super) amount: Amount,
    /// In which currency; with SHKeeper the coin, such as `ETH-USDT`.
    pub(super) currency: Currency,
    /// The address to pay to.
    #[garde(length(bytes, min = 1, max = 200), custom(printable))]
    #[schema(min_length = 1, max_length = 200)]
    pub(super) destination: String,
    /// Who handles it.
    pub(super) provider: PaymentProvider,
}

/// The status of a payout.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct ChangePayout {
    /// The new status.
    pub(super) status: PayoutStatus,
    /// The transaction on its chain.
    #[garde(inner(length(bytes, min = 1, max = 200), custom(printable)))]
    #[schema(min_length = 1, max_length = 200)]
    pub(super) tx_hash: Option<String>,
}

/// Addresses and names of transactions have no spaces and nothing beyond ASCII.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives references")]
fn printable(text: &str, (): &()) -> garde::Result {
    if text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(garde::Error::new("has letters, digits and signs only"))
    }
}
