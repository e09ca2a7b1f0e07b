//! What happens to payments and payouts, as sellers may be notified of it.

use std::collections::BTreeSet;

use serde_json::json;

use super::documents::{Payment, Payout};
use crate::{
    marketplace::Sale,
    notifications::{Cause, Happening},
};

/// The seller's money is here.
pub(super) fn received(sale: &Sale, payment: &Payment) -> Happening {
    Happening {
        cause: Cause::PaymentReceived,
        users: BTreeSet::from([payment.seller_id.clone()]),
        topic: None,
        placeholders: vec![
            ("title", sale.title().to_owned()),
            ("amount", payment.amount.in_words()),
            ("currency", payment.currency.to_string()),
        ],
        data: json!({ "paymentId": payment.id, "requestId": payment.request_id }),
        words_of: [Some(payment.buyer_id.clone()), None],
    }
}

/// A payout is through.
pub(super) fn payout_completed(payout: &Payout) -> Happening {
    Happening {
        cause: Cause::PayoutCompleted,
        users: BTreeSet::from([payout.seller_id.clone()]),
        topic: None,
        placeholders: vec![
            ("amount", payout.amount.in_words()),
            ("currency", payout.currency.to_string()),
        ],
        data: json!({ "payoutId": payout.id, "txHash": payout.tx_hash }),
        words_of: [None, None],
    }
}
