//! The lines of purchase requests.

use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::offer::OFFER_ON;
use crate::{
    clock::Timestamp,
    db::Tx,
    error::{Error, Result},
    id::Id,
    marketplace::{
        documents::{Delivery, PurchaseRequest, RequestStatus},
        store::{
            moved,
            requests::{self, RequestRow},
        },
    },
    money::{Amount, Currency, Money},
    moving::{self, Facts, Hex, Key, Line, Outcome, Place, Tag},
    rest::json::small_metadata,
    room::Room,
    text,
};

/// What a buyer looks for, and how far it is.
#[derive(Debug, PartialEq, Serialize, Deserialize, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct RequestLine {
    #[serde(rename = "type", default, skip_serializing)]
    line: Tag,
    id: Id,
    buyer_id: Id,
    #[garde(length(chars, max = 200), custom(text::line))]
    title: String,
    #[garde(length(chars, max = 8000), custom(text::prose))]
    description: String,
    budget: Price,
    #[garde(inner(length(chars, max = 100), custom(text::line)))]
    category: Option<String>,
    #[serde(default)]
    #[garde(custom(small_metadata))]
    metadata: Value,
    status: RequestStatus,
    accepted_offer_id: Option<Id>,
    seller_id: Option<Id>,
    payment_id: Option<Id>,
    paid: Option<Price>,
    #[garde(inner(length(chars, max = 1000), custom(text::prose)))]
    cancel_reason: Option<String>,
    #[garde(dive)]
    delivery: Option<DeliveryPart>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// An amount of money.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Price {
    amount: Amount,
    currency: Currency,
}

/// Where the goods are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
struct DeliveryPart {
    #[garde(inner(length(chars, max = 64), custom(text::line)))]
    status: Option<String>,
    #[garde(inner(length(chars, max = 100), custom(text::line)))]
    carrier: Option<String>,
    #[garde(inner(length(chars, max = 100), custom(text::line)))]
    tracking_number: Option<String>,
    /// Of the code that the buyer enters.
    code_hash: Option<Hex>,
    /// How often they may still try it.
    #[serde(default)]
    code_tries: u32,
    delivered_at: Option<Timestamp>,
    buyer_confirmed_at: Option<Timestamp>,
}

impl From<Money> for Price {
    fn from(Money { amount, currency }: Money) -> Self {
        Self { amount, currency }
    }
}

impl From<Price> for Money {
    fn from(Price { amount, currency }: Price) -> Self {
        Self { amount, currency }
    }
}

impl RequestLine {
    fn of(row: RequestRow) -> Self {
        let RequestRow { document: request, paid, code_hash, code_tries } = row;
        let delivery = request.delivery.map(|delivery| DeliveryPart {
            status: delivery.status,
            carrier: delivery.carrier,
            tracking_number: delivery.tracking_number,
            code_hash: code_hash.map(Hex),
            code_tries,
            delivered_at: delivery.delivered_at,
            buyer_confirmed_at: delivery.buyer_confirmed_at,
        });
        Self {
            line: Tag,
            id: request.id,
            buyer_id: request.buyer_id,
            title: request.title,
            description: request.description,
            budget: request.budget.into(),
            category: request.category,
            metadata: request.metadata,
            status: request.status,
            accepted_offer_id: request.accepted_offer_id,
            seller_id: request.seller_id,
            payment_id: request.payment_id,
            paid: paid.map(Into::into),
            cancel_reason: request.cancel_reason,
            delivery,
            created_at: request.created_at,
            updated_at: request.updated_at,
        }
    }

    fn row(self) -> RequestRow {
        let (code_hash, code_tries) = match &self.delivery {
            Some(delivery) => {
                (delivery.code_hash.clone().map(|Hex(hash)| hash), delivery.code_tries)
            }
            None => (None, 0),
        };
        let delivery = self.delivery.map(|delivery| Delivery {
            status: delivery.status,
            carrier: delivery.carrier,
            tracking_number: delivery.tracking_number,
            has_code: delivery.code_hash.is_some(),
            delivered_at: delivery.delivered_at,
            buyer_confirmed_at: delivery.buyer_confirmed_at,
        });
        let document = PurchaseRequest {
            underscore_id: self.id.clone(),
            id: self.id,
            buyer_id: self.buyer_id,
            title: self.title,
            description: self.description,
            budget: self.budget.into(),
            category: self.category,
            metadata: self.metadata,
            status: self.status,
            accepted_offer_id: self.accepted_offer_id,
            seller_id: self.seller_id,
            payment_id: self.payment_id,
            cancel_reason: self.cancel_reason,
            delivery,
            created_at: self.created_at,
            updated_at: self.updated_at,
        };
        RequestRow { document, paid: self.paid.map(Into::into), code_hash, code_tries }
    }
}

impl Line for RequestLine {
    const TYPE: &'static str = "request";

    fn check(&self) -> Result<()> {
        use RequestStatus::{Accepted, Completed, Delivered, Paid, Shipped};

        let is_taken = matches!(self.status, Accepted | Paid | Shipped | Delivered | Completed);
        if is_taken && (self.seller_id.is_none() || self.accepted_offer_id.is_none()) {
            let rule = "needs sellerId and acceptedOfferId by then";
            return Err(Error::invalid("/status", rule));
        }
        Ok(())
    }

    fn facts(&self) -> Facts {
        let mut keys = vec![Key::own("request", &self.id)];
        let offer = self.accepted_offer_id.as_ref();
        keys.extend(offer.map(|offer| Key::other(OFFER_ON, format!("{} {offer}", self.id))));
        Facts { place: Place::default(), keys }
    }

    async fn import(self, tx: &mut Tx<'_>) -> Result<Outcome> {
        if let Some(kept) = requests::find(tx, &self.id).await? {
            return Outcome::compared(&self, &Self::of(kept));
        }
        tx.record(Room::Request(self.id.clone()));
        requests::insert(tx, &self.row()).await?;
        Ok(Outcome::Written)
    }

    async fn next(tx: &mut Tx<'_>, after: &str) -> Result<(Vec<Self>, Option<String>)> {
        let rows = moved::requests_after(tx, after, moving::ROWS).await?;
        let next = moving::behind(&rows, |row| row.document.id.to_string());
        Ok((rows.into_iter().map(Self::of).collect(), next))
    }

    async fn is_there(tx: &mut Tx<'_>, name: &str) -> Result<bool> {
        let Ok(id) = name.parse::<Id>() else { return Ok(false) };
        Ok(requests::find(tx, &id).await?.is_some())
    }
}
