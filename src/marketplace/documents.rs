//! Purchase requests and offers as clients see them, in events and over REST.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    clock::Timestamp,
    id::Id,
    money::{Amount, Currency, Money},
};

/// What a buyer looks for.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PurchaseRequest {
    /// The request.
    pub id: Id,
    /// The same as `id`, as marketplace clients read it.
    #[serde(rename = "_id")]
    pub underscore_id: Id,
    /// Who asks.
    pub buyer_id: Id,
    /// One line.
    pub title: String,
    /// The text.
    pub description: String,
    /// What the buyer would pay.
    pub budget: Money,
    /// What sort of thing it is.
    #[schema(required = true)]
    pub category: Option<String>,
    /// What the buyer's client added; null when nothing.
    pub metadata: Value,
    /// How far it is.
    pub status: RequestStatus,
    /// The offer that the buyer accepted.
    #[schema(required = true)]
    pub accepted_offer_id: Option<Id>,
    /// The seller whose offer was accepted.
    #[schema(required = true)]
    pub seller_id: Option<Id>,
    /// The payment that was confirmed for it.
    #[schema(required = true)]
    pub payment_id: Option<Id>,
    /// Why it was called off.
    #[schema(required = true)]
    pub cancel_reason: Option<String>,
    /// Where the goods are; null until the seller says something of it.
    #[schema(required = true)]
    pub delivery: Option<Delivery>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Where the goods are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// In the seller's words; null when there is a code and nothing else.
    #[schema(required = true)]
    pub status: Option<String>,
    /// Who carries them.
    #[schema(required = true)]
    pub carrier: Option<String>,
    /// The carrier's number for them.
    #[schema(required = true)]
    pub tracking_number: Option<String>,
    /// Whether there is a code for the buyer to enter.
    pub has_code: bool,
    /// When the buyer entered the code.
    #[schema(required = true)]
    pub delivered_at: Option<Timestamp>,
    /// When the buyer said that they have the goods.
    #[schema(required = true)]
    pub buyer_confirmed_at: Option<Timestamp>,
}

/// How far a request is: `open → accepted → paid → shipped → delivered → completed`, or
/// `cancelled` before `paid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RequestStatus {
    /// Sellers may make offers.
    Open,
    /// The buyer accepted an offer.
    Accepted,
    /// The payment is confirmed.
    Paid,
    /// The seller sent it.
    Shipped,
    /// The buyer has it.
    Delivered,
    /// Done.
    Completed,
    /// Called off.
    Cancelled,
}

impl RequestStatus {
    /// The status as clients see it, and as it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Paid => "paid",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What a seller offers on a request.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    /// The offer.
    pub id: Id,
    /// The same as `id`, as marketplace clients read it.
    #[serde(rename = "_id")]
    pub underscore_id: Id,
    /// The request.
    pub request_id: Id,
    /// Who offers.
    pub seller_id: Id,
    /// The price.
    #[schema(value_type = f64)]
    pub amount: Amount,
    /// The price's currency, as a code.
    #[schema(value_type = String)]
    pub currency: Currency,
    /// What the seller says to it.
    #[schema(required = true)]
    pub message: Option<String>,
    /// How long delivery takes, in days.
    #[schema(required = true)]
    pub delivery_days: Option<u32>,
    /// Where it stands.
    pub status: OfferStatus,
    /// Whether it is the accepted one.
    pub is_selected: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Offer {
    /// What is to be paid for it.
    pub(super) fn price(&self) -> Money {
        Money { amount: self.amount, currency: self.currency.clone() }
    }
}

/// Where an offer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OfferStatus {
    /// The buyer has not decided.
    Pending,
    /// The buyer took it.
    Accepted,
    /// The buyer took another, or said no.
    Rejected,
    /// The seller took it back.
    Withdrawn,
}

impl OfferStatus {
    /// The status as clients see it, and as it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// Several requests of one buyer, paid for together.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Checkout {
    /// The checkout.
    pub id: Id,
    /// The same as `id`, as marketplace clients read it.
    #[serde(rename = "_id")]
    pub underscore_id: Id,
    /// Who pays.
    pub buyer_id: Id,
    /// What is paid for.
    pub request_ids: Vec<Id>,
    /// How far the payment is.
    pub status: CheckoutStatus,
    /// The payment, once a backend named it.
    #[schema(required = true)]
    pub payment_id: Option<Id>,
    /// Why the payment failed.
    #[schema(required = true)]
    pub reason: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// How far a checkout's payment is: `open → pending → confirmed`, or `failed`, after which it may
/// be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckoutStatus {
    /// Nothing is paid yet.
    Open,
    /// The payment is on its way.
    Pending,
    /// Paid.
    Confirmed,
    /// It did not go through.
    Failed,
}

impl CheckoutStatus {
    /// The status as clients see it, and as it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Failed => "failed",
        }
    }
}
