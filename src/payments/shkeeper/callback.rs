//! What callbacks say (`callback.py` of SHKeeper 82ff19e4). Fields that older servers do
//! not send are optional, and those that are new to us are passed over.

use std::collections::BTreeMap;

use serde::{Deserialize, de::DeserializeOwned};

use super::{PayoutProgress, wire};
use crate::{
    error::{Code, Error, Result},
    money::{Amount, Currency},
    payments::transaction,
    rest::json,
    text::well_formed,
};

/// What is told at an invoice's `callback_url`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callback {
    /// Money has come.
    Invoice(InvoiceCallback),
    /// Money has been seen that its chain has not confirmed.
    Unconfirmed(Unconfirmed),
}

/// An invoice's state after a transaction. It comes once for each, also after it is paid.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct InvoiceCallback {
    /// Our name of the invoice.
    #[serde(deserialize_with = "wire::text")]
    pub external_id: String,
    /// The coin that the buyer chose last.
    pub crypto: Currency,
    /// The address to pay to.
    #[serde(default)]
    pub addr: Option<String>,
    /// The currency of the price.
    pub fiat: Currency,
    /// What was paid by now, in the currency of the price. What is to be credited is told by this.
    #[serde(deserialize_with = "wire::amount")]
    pub balance_fiat: Amount,
    /// What was paid by now in `crypto`; other coins are not in it.
    #[serde(deserialize_with = "wire::amount")]
    pub balance_crypto: Amount,
    /// Whether the status is `PAID` or `OVERPAID`.
    pub paid: bool,
    /// Where the invoice stands.
    pub status: InvoiceStatus,
    /// Every transaction by now.
    #[serde(default)]
    pub transactions: Vec<Transaction>,
    /// What was paid above the price and its tolerance.
    #[serde(default, deserialize_with = "wire::amount_if_any")]
    pub overpaid_fiat: Option<Amount>,
    /// SHKeeper's fee in percent.
    #[serde(default, deserialize_with = "wire::amount_if_any")]
    pub fee_percent: Option<Amount>,
    /// SHKeeper's fee for each transaction.
    #[serde(default, deserialize_with = "wire::amount_if_any")]
    pub fee_fixed: Option<Amount>,
    /// Which of the fees counts, such as `PERCENT_FEE`.
    #[serde(default)]
    pub fee_policy: Option<String>,
}

/// Where an invoice stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum InvoiceStatus {
    /// Nothing was paid.
    Unpaid,
    /// Less was paid than the price, beyond SHKeeper's tolerance (5 % unless set otherwise).
    Partial,
    /// The price was paid, within the tolerance.
    Paid,
    /// More was paid, beyond the tolerance.
    Overpaid,
    /// It is void.
    Cancelled,
    /// The money went back.
    Refunded,
    /// Not an invoice, but money that left; it is never sent.
    Outgoing,
}

/// A transaction to an invoice's address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Transaction {
    /// Its name on its chain.
    pub txid: String,
    /// Its coin, which may be another than the invoice's.
    #[serde(default)]
    pub crypto: Option<Currency>,
    /// When SHKeeper saw it, without a time zone.
    #[serde(default)]
    pub date: Option<String>,
    /// How much of the coin.
    #[serde(deserialize_with = "wire::amount")]
    pub amount_crypto: Amount,
    /// How much in the currency of the price.
    #[serde(deserialize_with = "wire::amount")]
    pub amount_fiat: Amount,
    /// That without SHKeeper's fee.
    #[serde(default, deserialize_with = "wire::amount_if_any")]
    pub amount_fiat_without_fee: Option<Amount>,
    /// SHKeeper's fee.
    #[serde(default, deserialize_with = "wire::amount_if_any")]
    pub fee_fiat: Option<Amount>,
    /// Whether it caused this callback.
    #[serde(default)]
    pub trigger: bool,
}

/// Money has been seen that its chain has not confirmed. It may never come.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Unconfirmed {
    /// Our name of the invoice.
    #[serde(deserialize_with = "wire::text")]
    pub external_id: String,
    /// The coin.
    pub crypto: Currency,
    /// The address that is paid to.
    #[serde(default)]
    pub addr: Option<String>,
    /// The transaction's name on its chain.
    pub txid: String,
    /// How much of the coin.
    #[serde(deserialize_with = "wire::amount")]
    pub amount: Amount,
}

/// A payout is through. Nothing is told of one that is not.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PayoutCallback {
    /// SHKeeper's number of it.
    pub payout_id: i64,
    /// Our name of it; none where somebody paid out by hand.
    #[serde(default, deserialize_with = "wire::text_if_any")]
    pub external_id: Option<String>,
    /// Its first transaction on its chain.
    pub tx_hash: String,
    /// Always a success, as SHKeeper is written today.
    pub status: PayoutProgress,
    /// How much of the coin.
    #[serde(deserialize_with = "wire::amount")]
    pub amount: Amount,
    /// The coin.
    pub crypto: Currency,
    /// That in `currency_fiat`, at the rate of now.
    #[serde(default, deserialize_with = "wire::amount_if_any")]
    pub amount_fiat: Option<Amount>,
    /// The currency of `amount_fiat`.
    #[serde(default)]
    pub currency_fiat: Option<Currency>,
    /// When it was begun, without a time zone.
    #[serde(default)]
    pub timestamp: Option<String>,
}

/// Reads what came to an invoice's `callback_url`.
///
/// # Errors
/// [`Code::Malformed`], with what is wrong as the cause.
pub fn parse_invoice(raw: &[u8]) -> Result<Callback> {
    #[derive(Deserialize)]
    struct Kind {
        status: String,
    }
    // The others are written in capitals.
    if read::<Kind>(raw)?.status == "unconfirmed" {
        return read(raw).map(Callback::Unconfirmed);
    }
    read(raw).map(Callback::Invoice)
}

/// Reads what came to a payout's `callback_url`.
///
/// # Errors
/// [`Code::Malformed`], with what is wrong as the cause.
pub fn parse_payout(raw: &[u8]) -> Result<PayoutCallback> {
    read(raw)
}

fn read<T: DeserializeOwned>(raw: &[u8]) -> Result<T> {
    serde_json::from_slice(&well_formed(raw)).map_err(|error| {
        let cause = json::without_quotes(&error.to_string());
        Error::new(Code::Malformed, "This is not a callback of SHKeeper's.").with_cause(cause)
    })
}

impl Callback {
    /// Our name of the invoice.
    #[must_use]
    pub fn external_id(&self) -> &str {
        match self {
            Self::Invoice(invoice) => &invoice.external_id,
            Self::Unconfirmed(unconfirmed) => &unconfirmed.external_id,
        }
    }

    /// What makes it the same callback as one before, so that it is done once.
    #[must_use]
    pub fn dedupe_key(&self) -> String {
        match self {
            Self::Invoice(invoice) => invoice.dedupe_key(),
            Self::Unconfirmed(unconfirmed) => unconfirmed.dedupe_key(),
        }
    }
}

impl InvoiceCallback {
    /// The transaction that caused it.
    #[must_use]
    pub fn trigger(&self) -> Option<&Transaction> {
        self.transactions.iter().find(|transaction| transaction.trigger)
    }

    /// The transactions in the order of their keys; one that is there twice is there once.
    #[must_use]
    pub fn distinct_transactions(&self) -> Vec<&Transaction> {
        let mut distinct = BTreeMap::new();
        for transaction in &self.transactions {
            let crypto = transaction.crypto.as_ref().unwrap_or(&self.crypto).as_str();
            distinct.entry((transaction::key(&transaction.txid), crypto)).or_insert(transaction);
        }
        distinct.into_values().collect()
    }

    /// What the transactions make up, in the currency of the price.
    #[must_use]
    pub fn made_up_fiat(&self) -> Amount {
        let transactions = self.distinct_transactions();
        transactions.iter().fold(Amount::ZERO, |sum, transaction| sum.plus(transaction.amount_fiat))
    }

    /// `invoice|<crypto>|<external id>|<txid>|<status>|<balance in crypto>|<balance in fiat>|<what
    /// the transactions make up>`: the cause and the state, as there is no event id. Our name is
    /// part of it, since one transaction may be told of two invoices. Without a cause the state alone tells
    /// it, with `-` for the transaction.
    #[must_use]
    pub fn dedupe_key(&self) -> String {
        let Self { crypto, external_id, balance_crypto, balance_fiat, .. } = self;
        let trigger = self.trigger().map(|trigger| transaction::name(trigger.txid.clone()));
        let txid = trigger.as_deref().unwrap_or("-");
        let (status, made_up) = (self.status.as_str(), self.made_up_fiat());
        format!(
            "invoice|{crypto}|{external_id}|{txid}|{status}|{balance_crypto}|{balance_fiat}|{made_up}"
        )
    }
}

impl InvoiceStatus {
    /// As SHKeeper writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unpaid => "UNPAID",
            Self::Partial => "PARTIAL",
            Self::Paid => "PAID",
            Self::Overpaid => "OVERPAID",
            Self::Cancelled => "CANCELLED",
            Self::Refunded => "REFUNDED",
            Self::Outgoing => "OUTGOING",
        }
    }

    /// Whether the price was paid.
    #[must_use]
    pub const fn is_paid(self) -> bool {
        matches!(self, Self::Paid | Self::Overpaid)
    }
}

impl Unconfirmed {
    /// `unconfirmed|<crypto>|<external id>|<txid>`.
    #[must_use]
    pub fn dedupe_key(&self) -> String {
        let Self { crypto, external_id, txid, .. } = self;
        format!("unconfirmed|{crypto}|{external_id}|{}", transaction::name(txid.clone()))
    }
}

impl PayoutCallback {
    /// `payout|<their number>|<external id>`: the number alone would begin again with a SHKeeper
    /// that was set up anew.
    #[must_use]
    pub fn dedupe_key(&self) -> String {
        format!("payout|{}|{}", self.payout_id, self.external_id.as_deref().unwrap_or("-"))
    }
}

#[cfg(test)]
mod tests;
