//! How a request was paid for, as payments tell it.

use crate::{id::Id, money::Money};

/// A confirmed payment.
#[derive(Clone, Debug)]
pub struct PaidBy {
    /// The payment.
    pub payment_id: Id,
    /// Its transaction on its chain.
    pub tx_hash: Option<String>,
    /// Who handled it.
    pub provider: String,
    /// How much was paid.
    pub money: Money,
}
