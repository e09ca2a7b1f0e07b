//! What happens in the marketplace, as the wire events that it becomes: who hears of it, and what.

use super::{
    documents::{Checkout, CheckoutStatus, Offer, PurchaseRequest},
    events::{
        BuyerConfirmedDelivery, DeliveryCodeGenerated, DeliveryConfirmed, DeliveryUpdate, NewOffer,
        OfferChange, OfferChangeData, PurchaseRequestUpdate, RequestCancelled, RequestChange,
        SellerOfferUpdate, TemplateCheckoutPaymentConfirmed, TemplateCheckoutPaymentFailed,
        TemplateCheckoutPaymentPending, TransactionCompleted,
    },
    paid::PaidBy,
};
use crate::{
    event::{Alone, Kept},
    id::Id,
    money::Money,
    room::Room,
    stream::{Target, WireEvent},
};

/// A request is there.
pub(super) fn requested(request: &PurchaseRequest) -> WireEvent {
    WireEvent::to_room(Room::Sellers, request)
}

/// Something about a request changed.
pub(super) fn changed(request: &PurchaseRequest, kind: RequestChange) -> WireEvent {
    update(&PurchaseRequestUpdate {
        kind,
        request_id: request.id.clone(),
        status: Some(request.status),
        payment_id: None,
        tx_hash: None,
        provider: None,
    })
}

/// A request is paid for.
pub(super) fn paid(request: &PurchaseRequest, by: &PaidBy) -> WireEvent {
    update(&PurchaseRequestUpdate {
        kind: RequestChange::PaymentChanged,
        request_id: request.id.clone(),
        status: Some(request.status),
        payment_id: Some(by.payment_id.clone()),
        tx_hash: by.tx_hash.clone(),
        provider: Some(by.provider.clone()),
    })
}

fn update(update: &PurchaseRequestUpdate) -> WireEvent {
    WireEvent::to_room(Room::Request(update.request_id.clone()), update)
}

/// A request is called off; each of these sellers had an offer on it.
pub(super) fn cancelled(request: &PurchaseRequest, sellers: Vec<Id>) -> WireEvent {
    let cancelled = RequestCancelled {
        request_id: request.id.clone(),
        reason: request.cancel_reason.clone().unwrap_or_default(),
    };
    let people = [request.buyer_id.clone()].into_iter().chain(sellers);
    WireEvent::to_rooms(people.map(Room::User).collect::<Vec<_>>(), &cancelled)
}

/// A request is done, for what was paid.
pub(super) fn completed(
    request: &PurchaseRequest,
    seller: Id,
    payment_id: Id,
    paid: Money,
) -> WireEvent {
    let completed = TransactionCompleted {
        request_id: request.id.clone(),
        payment_id,
        amount: paid.amount,
        currency: paid.currency,
    };
    WireEvent::to_rooms([Room::User(request.buyer_id.clone()), Room::User(seller)], &completed)
}

/// An offer is there.
pub(super) fn offered(buyer: Id, offer: &Offer) -> WireEvent {
    let offered = NewOffer {
        request_id: offer.request_id.clone(),
        offer: offer.clone(),
        seller_id: offer.seller_id.clone(),
    };
    WireEvent::to_room(Room::Buyer(buyer), &offered)
}

/// The buyer took an offer.
pub(super) fn accepted(offer: &Offer) -> WireEvent {
    let update = offer_update(
        offer,
        OfferChange::OfferAccepted,
        OfferChangeData {
            offer_id: offer.id.clone(),
            is_selected: true,
            payment_id: None,
            transaction_hash: None,
            reason: None,
        },
    );
    WireEvent::to_room(Room::Seller(offer.seller_id.clone()), &update)
}

/// The buyer did not take an offer.
pub(super) fn rejected(offer: &Offer, reason: Option<String>) -> WireEvent {
    let update = offer_update(
        offer,
        OfferChange::OfferRejected,
        OfferChangeData {
            offer_id: offer.id.clone(),
            is_selected: false,
            payment_id: None,
            transaction_hash: None,
            reason,
        },
    );
    WireEvent::to_room(Room::Seller(offer.seller_id.clone()), &update)
}

/// The payment for an offer is confirmed.
pub(super) fn payment_completed(
    request: &PurchaseRequest,
    offer: &Offer,
    by: &PaidBy,
) -> WireEvent {
    let update = offer_update(
        offer,
        OfferChange::PaymentCompleted,
        OfferChangeData {
            offer_id: offer.id.clone(),
            is_selected: true,
            payment_id: Some(by.payment_id.clone()),
            transaction_hash: by.tx_hash.clone(),
            reason: None,
        },
    );
    let people = [request.buyer_id.clone(), offer.seller_id.clone()];
    WireEvent::to_everyone(&update).or_participants(people.map(Room::User))
}

fn offer_update(
    offer: &Offer,
    event_type: OfferChange,
    data: OfferChangeData,
) -> SellerOfferUpdate {
    let (seller_id, request_id) = (offer.seller_id.clone(), offer.request_id.clone());
    SellerOfferUpdate { seller_id, request_id, event_type, data }
}

/// The delivery code was made; where only who takes part hears of things, it is the seller's alone.
pub(super) fn code_generated(request: &PurchaseRequest, seller: Id, code: String) -> WireEvent {
    let generated = DeliveryCodeGenerated { request_id: request.id.clone(), delivery_code: code };
    WireEvent::to_room(Room::Request(request.id.clone()), &generated)
        .or_participants([Room::User(seller)])
}

/// The seller told of the goods.
pub(super) fn delivery_changed(request: &PurchaseRequest) -> WireEvent {
    let delivery = request.delivery.clone().unwrap_or_default();
    let update = DeliveryUpdate {
        request_id: request.id.clone(),
        status: delivery.status.unwrap_or_default(),
        carrier: delivery.carrier,
        tracking_number: delivery.tracking_number,
    };
    WireEvent::to_room(Room::Request(request.id.clone()), &update)
}

/// The buyer entered the right code.
pub(super) fn delivered(request: &PurchaseRequest) -> WireEvent {
    let confirmed = DeliveryConfirmed { request_id: request.id.clone() };
    WireEvent::to_room(Room::Request(request.id.clone()), &confirmed)
}

/// The buyer has the goods.
pub(super) fn buyer_confirmed(request: &PurchaseRequest, seller: Id) -> WireEvent {
    let (request_id, buyer_id) = (request.id.clone(), request.buyer_id.clone());
    WireEvent::to_room(Room::User(seller), &BuyerConfirmedDelivery { request_id, buyer_id })
}

/// A checkout's payment moved; of nothing when it is still open.
pub(super) fn checkout_changed(checkout: &Checkout, sellers: Vec<Id>) -> Option<WireEvent> {
    let checkout_id = checkout.id.clone();
    let mut people: Vec<_> =
        [checkout.buyer_id.clone()].into_iter().chain(sellers).map(Room::User).collect();
    let wire_event = match checkout.status {
        CheckoutStatus::Open => return None,
        CheckoutStatus::Pending => to_all(&TemplateCheckoutPaymentPending { checkout_id }),
        CheckoutStatus::Failed => to_all(&TemplateCheckoutPaymentFailed {
            checkout_id,
            reason: checkout.reason.clone().unwrap_or_default(),
        }),
        CheckoutStatus::Confirmed => {
            people.push(Room::Checkout(checkout_id.clone()));
            to_all(&TemplateCheckoutPaymentConfirmed {
                checkout_id,
                request_ids: checkout.request_ids.clone(),
                payment_id: checkout.payment_id.clone(),
            })
        }
    };
    Some(wire_event.or_participants(people))
}

fn to_all<E: Kept + Alone>(payload: &E) -> WireEvent {
    WireEvent::new(Target::Everyone, payload)
}
