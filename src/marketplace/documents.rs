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
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
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
