//! What is heard of payments and payouts (docs/contract/events.md#payment).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    events,
    id::Id,
    money::{Amount, Currency},
};

events! {
    server(Marketplace only) {
        /// A payment was begun.
        PAYMENT_CREATED: "payment-created", PaymentCreated, kept, to "everyone";
        /// The seller's money is here.
        PAYMENT_RECEIVED: "payment-received", PaymentReceived, kept, to "user-<seller>";
        /// A payment or its escrow changed.
        PAYMENT_UPDATE: "payment-update", PaymentUpdate, kept, to "everyone, request-<id>, user-<buyer>, user-<seller>";
        /// A payout was begun.
        PAYOUT_CREATED: "payout-created", PayoutCreated, kept, to "everyone";
        /// A payout is through.
        PAYOUT_COMPLETED: "payout-completed", PayoutCompleted, kept, to "everyone, user-<seller>";
        /// A payout changed.
        PAYOUT_UPDATED: "payout-updated", PayoutUpdated, kept, to "everyone";
    }
}

/// A payment was begun.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentCreated {
    /// The payment.
    pub payment_id: Id,
    /// Who handles it.
    pub provider: PaymentProvider,
    /// What is paid.
    pub request_id: Id,
    /// Who pays.
    pub buyer_id: Id,
    /// Who is paid.
    pub seller_id: Id,
    /// How much.
    #[schema(value_type = f64)]
    pub amount: Amount,
    /// In which currency, as a code.
    #[schema(value_type = String)]
    pub currency: Currency,
}

/// Who handles a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PaymentProvider {
    /// A SHKeeper server.
    Shkeeper,
    /// The buyer's own wallet; a watcher of the chain confirms.
    Decentralized,
}

/// The seller's money is here.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentReceived {
    /// What was paid.
    pub purchase_request_id: Id,
    /// How much.
    #[schema(value_type = f64)]
    pub amount: Amount,
    /// In which currency, as a code.
    #[schema(value_type = String)]
    pub currency: Currency,
    /// Who paid.
    pub buyer_id: Id,
}

/// A payment or its escrow changed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentUpdate {
    /// The payment.
    pub payment_id: Id,
    /// Where it stands.
    pub status: PaymentStatus,
    /// Where the money lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escrow_state: Option<EscrowState>,
    /// The transaction on its chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_hash: Option<String>,
}

/// Where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PaymentStatus {
    /// Not here yet.
    Pending,
    /// A part of it is here.
    Partial,
    /// Here.
    Confirmed,
    /// It will not come.
    Failed,
}

/// Where a payment's money lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EscrowState {
    /// With the marketplace.
    Held,
    /// It went to the seller.
    Released,
    /// It went back to the buyer.
    Refunded,
}

/// A payout was begun.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PayoutCreated {
    /// The payout.
    pub payout_id: Id,
    /// The provider's task; null when it has none.
    #[schema(required = true)]
    pub task_id: Option<String>,
    /// Who is paid.
    pub seller_id: Id,
    /// How much.
    #[schema(value_type = f64)]
    pub amount: Amount,
    /// In which currency, as a code.
    #[schema(value_type = String)]
    pub currency: Currency,
}

/// A payout is through.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PayoutCompleted {
    /// The payout.
    pub payout_id: Id,
    /// The provider's task; null when it has none.
    #[schema(required = true)]
    pub task_id: Option<String>,
    /// The transaction on its chain; null when the provider does not tell.
    #[schema(required = true)]
    pub tx_hash: Option<String>,
}

/// A payout changed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PayoutUpdated {
    /// The payout.
    pub payout_id: Id,
    /// Where it stands.
    pub status: PayoutStatus,
}

/// Where a payout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PayoutStatus {
    /// Asked for.
    Pending,
    /// The provider works on it.
    Processing,
    /// Through.
    Completed,
    /// It did not go through.
    Failed,
}
