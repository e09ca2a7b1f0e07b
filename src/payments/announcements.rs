//! What happens to payments and payouts, as the wire events that it becomes.

use super::{
    documents::{Payment, Payout},
    events::{
        PaymentCreated, PaymentReceived, PaymentUpdate, PayoutCompleted, PayoutCreated,
        PayoutUpdated,
    },
};
use crate::{room::Room, stream::WireEvent};

/// The rooms of the two whom a payment is about.
fn people(payment: &Payment) -> [Room; 2] {
    [Room::User(payment.buyer_id.clone()), Room::User(payment.seller_id.clone())]
}

/// A payment was begun.
pub(super) fn created(payment: &Payment) -> WireEvent {
    let created = PaymentCreated {
        payment_id: payment.id.clone(),
        provider: payment.provider,
        request_id: payment.request_id.clone(),
        buyer_id: payment.buyer_id.clone(),
        seller_id: payment.seller_id.clone(),
        amount: payment.amount,
        currency: payment.currency.clone(),
    };
    WireEvent::to_everyone(&created).or_participants(people(payment))
}

/// A payment or its escrow changed.
pub(super) fn updated(payment: &Payment) -> WireEvent {
    let update = PaymentUpdate {
        payment_id: payment.id.clone(),
        status: payment.status,
        escrow_state: payment.escrow_state,
        tx_hash: payment.tx_hash.clone(),
    };
    let [buyer, seller] = people(payment);
    let request = Room::Request(payment.request_id.clone());
    WireEvent::to_everyone(&update).or_participants([buyer, seller, request])
}

/// The seller's money is here.
pub(super) fn received(payment: &Payment) -> WireEvent {
    let received = PaymentReceived {
        purchase_request_id: payment.request_id.clone(),
        amount: payment.amount,
        currency: payment.currency.clone(),
        buyer_id: payment.buyer_id.clone(),
    };
    WireEvent::to_room(Room::User(payment.seller_id.clone()), &received)
}

/// A payout was begun.
pub(super) fn payout_created(payout: &Payout) -> WireEvent {
    let created = PayoutCreated {
        payout_id: payout.id.clone(),
        task_id: payout.task_id.clone(),
        seller_id: payout.seller_id.clone(),
        amount: payout.amount,
        currency: payout.currency.clone(),
    };
    WireEvent::to_everyone(&created).or_participants([Room::User(payout.seller_id.clone())])
}

/// A payout changed.
pub(super) fn payout_updated(payout: &Payout) -> WireEvent {
    let updated = PayoutUpdated { payout_id: payout.id.clone(), status: payout.status };
    WireEvent::to_everyone(&updated).or_participants([Room::User(payout.seller_id.clone())])
}

/// A payout is through.
pub(super) fn payout_completed(payout: &Payout) -> WireEvent {
    let completed = PayoutCompleted {
        payout_id: payout.id.clone(),
        task_id: payout.task_id.clone(),
        tx_hash: payout.tx_hash.clone(),
    };
    WireEvent::to_everyone(&completed).or_participants([Room::User(payout.seller_id.clone())])
}
