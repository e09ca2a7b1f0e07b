//! Payments and payouts as clients see them over REST.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::events::{EscrowState, PaymentProvider, PaymentStatus, PayoutStatus};
use crate::{
    clock::Timestamp,
    id::Id,
    money::{Amount, Currency},
};

/// What a buyer pays for a request.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    /// The payment.
    pub id: Id,
    /// The same as `id`, as marketplace clients read it.
    #[serde(rename = "_id")]
    pub underscore_id: Id,
    /// What is paid for.
    pub request_id: Id,
    /// Who pays.
    pub buyer_id: Id,
    /// Who is paid.
    pub seller_id: Id,
    /// Who handles it.
    pub provider: PaymentProvider,
    /// How much.
    #[schema(value_type = f64)]
    pub amount: Amount,
    /// In which currency, as a code.
    pub currency: Currency,
    /// Where it stands.
    pub status: PaymentStatus,
    /// Where the money lies, once somebody said so.
    #[schema(required = true)]
    pub escrow_state: Option<EscrowState>,
    /// The last transaction on its chain.
    #[schema(required = true)]
    pub tx_hash: Option<String>,
    /// How much has come, in `currency`; it may be more than `amount`.
    #[schema(value_type = f64)]
    pub received_amount: Amount,
    /// Where the buyer pays to; null where the provider has no say in it.
    #[schema(required = true)]
    pub invoice: Option<PaymentInvoice>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What the buyer is to send, and where to.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentInvoice {
    /// The address.
    pub wallet: String,
    /// The coin.
    pub crypto: Currency,
    /// How much of the coin.
    #[schema(value_type = f64)]
    pub crypto_amount: Amount,
    /// The price of one coin, as the provider writes it.
    pub exchange_rate: String,
    /// The coin's name for people.
    pub display_name: String,
}

/// A payment with all that happened to it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentView {
    /// The payment.
    #[serde(flatten)]
    pub payment: Payment,
    /// What happened, the first first. Nothing in it is ever changed.
    pub ledger: Vec<LedgerEntry>,
}

/// Something that happened to a payment.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LedgerEntry {
    /// Its number, from 1.
    pub ordinal: u64,
    /// What.
    pub kind: LedgerKind,
    /// How much it is about.
    #[schema(value_type = Option<f64>, required = true)]
    pub amount: Option<Amount>,
    /// In which currency.
    #[schema(required = true)]
    pub currency: Option<Currency>,
    /// The transaction on its chain.
    #[schema(required = true)]
    pub tx_hash: Option<String>,
    /// What else there is to say.
    #[schema(required = true)]
    pub detail: Option<String>,
    /// When.
    pub created_at: Timestamp,
}

/// What happens to payments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LedgerKind {
    /// It was begun.
    Created,
    /// The provider told where to pay to.
    Invoiced,
    /// Money was seen that its chain has not confirmed.
    Seen,
    /// Money came.
    Received,
    /// It is paid.
    Confirmed,
    /// More came than was asked for.
    Overpaid,
    /// It is paid, but its request was called off or paid otherwise before: it is to go back.
    Unapplied,
    /// It will not come.
    Failed,
    /// The money lies with the marketplace.
    Held,
    /// The money went to the seller.
    Released,
    /// The money went back to the buyer.
    Refunded,
}

/// What a seller is paid.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Payout {
    /// The payout.
    pub id: Id,
    /// The same as `id`, as marketplace clients read it.
    #[serde(rename = "_id")]
    pub underscore_id: Id,
    /// Who is paid.
    pub seller_id: Id,
    /// The payment that is handed on.
    #[schema(required = true)]
    pub payment_id: Option<Id>,
    /// How much.
    #[schema(value_type = f64)]
    pub amount: Amount,
    /// In which currency; with SHKeeper the coin, such as `ETH-USDT`.
    pub currency: Currency,
    /// The address that is paid to.
    pub destination: String,
    /// Who handles it.
    pub provider: PaymentProvider,
    /// Where it stands.
    pub status: PayoutStatus,
    /// The provider's task.
    #[schema(required = true)]
    pub task_id: Option<String>,
    /// The transaction on its chain.
    #[schema(required = true)]
    pub tx_hash: Option<String>,
    /// Why it failed, or what is not clear about it.
    #[schema(required = true)]
    pub reason: Option<String>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}
