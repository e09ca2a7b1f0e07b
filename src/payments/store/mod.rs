//! Payments, their ledger, payouts and callbacks in the store.

pub(super) mod coins;
pub(super) mod ledger;
pub(super) mod moved;
pub(super) mod payments;
pub(super) mod payouts;
pub(super) mod transactions;
pub(super) mod unsettled;
pub(super) mod webhooks;

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    db::Row,
    error::{Error, Result},
};

/// A status as it is stored: the word that clients see.
pub(in crate::payments) fn word<T: Serialize>(value: T) -> Result<String> {
    match serde_json::to_value(value).map_err(Error::internal)? {
        serde_json::Value::String(word) => Ok(word),
        other => Err(Error::internal(format!("{other} is no word"))),
    }
}

/// The status of a stored word.
fn read<T: DeserializeOwned>(row: &Row, column: &str) -> Result<T> {
    let word: String = row.get(column)?;
    serde_json::from_value(word.into()).map_err(Error::internal)
}
