//! What happens in the marketplace, as users may be notified of it.

use std::collections::BTreeSet;

use serde_json::json;

use super::documents::{Offer, PurchaseRequest};
use crate::{
    id::Id,
    money::Money,
    notifications::{Cause, Happening},
};

/// What a request is called whose buyer is erased.
const UNTITLED: &str = "(erased)";

/// An offer is there. What the buyer is told in their own words goes with what they were told.
pub(super) fn offered(request: &PurchaseRequest, offer: &Offer) -> Happening {
    Happening {
        cause: Cause::OfferReceived,
        users: BTreeSet::from([request.buyer_id.clone()]),
        topic: None,
        placeholders: priced(request, &offer.price()),
        data: json!({ "requestId": request.id, "offerId": offer.id, "sellerId": offer.seller_id }),
        words_of: [None, None],
    }
}

/// The buyer took an offer.
pub(super) fn accepted(request: &PurchaseRequest, offer: &Offer) -> Happening {
    Happening {
        cause: Cause::OfferAccepted,
        users: BTreeSet::from([offer.seller_id.clone()]),
        topic: None,
        placeholders: priced(request, &offer.price()),
        data: json!({ "requestId": request.id, "offerId": offer.id }),
        words_of: [Some(request.buyer_id.clone()), None],
    }
}

/// The buyer did not take the offers of these sellers.
pub(super) fn rejected(
    request: &PurchaseRequest,
    sellers: BTreeSet<Id>,
    reason: Option<&str>,
) -> Happening {
    Happening {
        cause: Cause::OfferRejected,
        users: sellers,
        topic: None,
        placeholders: reasoned(request, reason),
        data: json!({ "requestId": request.id, "reason": reason }),
        words_of: [Some(request.buyer_id.clone()), None],
    }
}

/// A request is called off by somebody who needs not be told, and in whose words it is why.
pub(super) fn cancelled(request: &PurchaseRequest, by: &Id, sellers: Vec<Id>) -> Happening {
    let mut users: BTreeSet<_> = sellers.into_iter().collect();
    users.insert(request.buyer_id.clone());
    users.remove(by);
    let reason = request.cancel_reason.as_deref();
    Happening {
        cause: Cause::RequestCancelled,
        users,
        topic: None,
        placeholders: reasoned(request, reason),
        data: json!({ "requestId": request.id, "reason": reason }),
        words_of: [Some(request.buyer_id.clone()), Some(by.clone())],
    }
}

/// A request is called off because its buyer is erased: none of their words are in it, so it stays.
pub(super) fn orphaned(request: &PurchaseRequest, reason: &str, sellers: Vec<Id>) -> Happening {
    let told = PurchaseRequest {
        title: UNTITLED.to_owned(),
        cancel_reason: Some(reason.to_owned()),
        ..request.clone()
    };
    Happening { words_of: [None, None], ..cancelled(&told, &request.buyer_id, sellers) }
}

/// The goods are on their way.
pub(super) fn shipped(request: &PurchaseRequest) -> Happening {
    let delivery = request.delivery.clone().unwrap_or_default();
    let (carrier, number) = (delivery.carrier, delivery.tracking_number);
    Happening {
        cause: Cause::DeliveryShipped,
        users: BTreeSet::from([request.buyer_id.clone()]),
        topic: None,
        data: json!({ "requestId": request.id, "carrier": carrier, "trackingNumber": number }),
        words_of: [request.seller_id.clone(), None],
        placeholders: vec![
            ("title", request.title.clone()),
            ("carrier", carrier.unwrap_or_default()),
            ("tracking_number", number.unwrap_or_default()),
        ],
    }
}

/// The goods have arrived.
pub(super) fn delivered(request: &PurchaseRequest) -> Happening {
    Happening {
        cause: Cause::DeliveryConfirmed,
        users: request.seller_id.iter().cloned().collect(),
        topic: None,
        placeholders: vec![("title", request.title.clone())],
        data: json!({ "requestId": request.id }),
        words_of: [Some(request.buyer_id.clone()), None],
    }
}

fn priced(request: &PurchaseRequest, price: &Money) -> Vec<(&'static str, String)> {
    vec![
        ("title", request.title.clone()),
        ("amount", price.amount.in_words()),
        ("currency", price.currency.to_string()),
    ]
}

fn reasoned(request: &PurchaseRequest, reason: Option<&str>) -> Vec<(&'static str, String)> {
    vec![("title", request.title.clone()), ("reason", reason.unwrap_or_default().to_owned())]
}
