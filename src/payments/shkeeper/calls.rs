//! What SHKeeper can be asked: an invoice, a payout, and what became of it (`api_v1.py` of
//! SHKeeper 82ff19e4). The key opens invoices and states; payouts and tasks want the user.

use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ProviderError, Shkeeper, wire};
use crate::money::{Amount, Currency};

/// What payouts offer for the transfer. They require one: BTC reads 0 as "estimate it", the older
/// coins as the wallet's own setting, and all others ignore it.
const FEE: &str = "0";

/// What a buyer is to pay.
#[derive(Clone, Debug)]
pub struct InvoiceOrder {
    /// Our name of it.
    pub external_id: String,
    /// The currency that the price is in.
    pub fiat: Currency,
    /// The price.
    pub amount: Amount,
    /// Where its callbacks go.
    pub callback_url: String,
}

/// What the buyer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoice {
    /// SHKeeper's number of it.
    pub id: i64,
    /// The address to pay to.
    pub wallet: String,
    /// How much of the coin.
    pub amount: Amount,
    /// The price of one coin, as SHKeeper writes it.
    pub exchange_rate: String,
    /// The coin's name for people.
    pub display_name: String,
    /// The coin.
    pub crypto: Currency,
}

/// Who is to be paid.
#[derive(Clone, Debug)]
pub struct PayoutOrder {
    /// Our name of it: of two payouts of the same name and coin, the second is refused.
    pub external_id: String,
    /// How much of the coin.
    pub amount: Amount,
    /// The address to pay to.
    pub destination: String,
    /// Where to tell of its success.
    pub callback_url: String,
}

/// A payout that SHKeeper has taken on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartedPayout {
    /// The task to ask for; none for coins whose wallet sends at once, such as LTC, DOGE and XMR.
    pub task_id: Option<String>,
    /// The transactions, where the wallet has sent at once.
    pub txids: Vec<String>,
}

/// Where a payout's task stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// Not done; also said of a task that the wallet does not know or has forgotten.
    Pending,
    /// Sent, though perhaps not confirmed on its chain yet.
    Success {
        /// The transactions, in the order of their making.
        txids: Vec<String>,
    },
    /// Nothing was sent.
    Failure {
        /// Why, as the wallet says.
        reason: String,
    },
}

/// Where a payout stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayoutState {
    /// Not confirmed yet. After a day SHKeeper no longer looks, and it stays so.
    InProgress,
    /// Confirmed on its chain.
    Success {
        /// The transaction, where it is known.
        txid: Option<String>,
    },
    /// Its task failed.
    Fail,
    /// SHKeeper has no record of it. It is written after the wallet was asked, so a call that
    /// ended as [`ProviderError::Unclear`] may have been paid all the same.
    Unknown,
}

/// How SHKeeper writes where a payout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PayoutProgress {
    /// Not confirmed yet.
    InProgress,
    /// Confirmed on its chain.
    Success,
    /// Its task failed.
    Fail,
}

#[derive(Serialize)]
struct PaymentRequest<'a> {
    external_id: &'a str,
    fiat: &'a Currency,
    /// As text, which no reader takes for a float.
    amount: String,
    callback_url: &'a str,
}

#[derive(Deserialize)]
struct PaymentRequested {
    id: i64,
    wallet: String,
    #[serde(deserialize_with = "wire::amount")]
    amount: Amount,
    #[serde(deserialize_with = "wire::text")]
    exchange_rate: String,
    display_name: String,
}

#[derive(Serialize)]
struct PayoutRequest<'a> {
    external_id: &'a str,
    amount: String,
    destination: &'a str,
    fee: &'static str,
    callback_url: &'a str,
}

#[derive(Deserialize)]
struct PayoutStarted {
    task_id: Option<String>,
    #[serde(default)]
    result: Value,
    #[serde(default)]
    error: Value,
}

#[derive(Deserialize)]
struct Task {
    status: String,
    #[serde(default)]
    result: Value,
}

#[derive(Deserialize)]
struct PayoutRecord {
    status: PayoutProgress,
    txid: Option<String>,
}

impl Shkeeper {
    /// Asks for an invoice. The same `external_id`, `fiat` and `callback_url` give the same invoice
    /// again, at the price and the rate of now; so this may be asked again after any error.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn payment_request(
        &self,
        crypto: &Currency,
        order: &InvoiceOrder,
    ) -> Result<Invoice, ProviderError> {
        let body = PaymentRequest {
            external_id: &order.external_id,
            fiat: &order.fiat,
            amount: order.amount.to_string(),
            callback_url: &order.callback_url,
        };
        let url = self.url(&[crypto.as_str(), "payment_request"])?;
        let answer = self.send(self.keyed(Method::POST, url).json(&body)).await?;
        let PaymentRequested { id, wallet, amount, exchange_rate, display_name } =
            self.success(&answer)?;
        Ok(Invoice { id, wallet, amount, exchange_rate, display_name, crypto: crypto.clone() })
    }

    /// Asks for a payout, once. Only [`ProviderError::Refused`] and [`ProviderError::Unreachable`]
    /// say that nothing is paid.
    ///
    /// # Errors
    /// What is known of it.
    pub async fn payout(
        &self,
        crypto: &Currency,
        order: &PayoutOrder,
    ) -> Result<StartedPayout, ProviderError> {
        if order.external_id.is_empty() {
            // It would be taken for none, and a second one would be paid as well.
            return Err(ProviderError::Refused("a payout needs a name".to_owned()));
        }
        let body = PayoutRequest {
            external_id: &order.external_id,
            amount: order.amount.to_string(),
            destination: &order.destination,
            fee: FEE,
            callback_url: &order.callback_url,
        };
        let url = self.url(&[crypto.as_str(), "payout"])?;
        let answer = self.send(self.paying(Method::POST, url)?.json(&body)).await?;
        let started: PayoutStarted = self.success(&answer)?;
        let txids = txids(&started.result);
        let task_id = started.task_id.filter(|task| !task.is_empty());
        if task_id.is_none() && txids.is_empty() {
            // A wallet's own error, such as of a transaction that was made and not sent on.
            let reason = self.reason(&started.error);
            let reason = reason.unwrap_or_else(|| "neither a task nor a transaction".to_owned());
            return Err(ProviderError::Unclear(reason));
        }
        Ok(StartedPayout { task_id, txids })
    }

    /// Where a payout's task stands. A task that ended well may have sent nothing: what counts is
    /// what it says of the destination.
    ///
    /// # Errors
    /// Why it is not known, which says nothing of the payout; [`ProviderError::Unclear`] also when
    /// the task says that a part of it was sent, which is for people to look at.
    pub async fn task(&self, crypto: &Currency, task_id: &str) -> Result<TaskState, ProviderError> {
        let url = self.url(&[crypto.as_str(), "task", task_id])?;
        let answer = self.send(self.paying(Method::GET, url)?).await?;
        let task: Task = self.success(&answer)?;
        match task.status.as_str() {
            "SUCCESS" => self.transfers(&task.result),
            "FAILURE" | "FAILED" | "ERROR" => Ok(TaskState::Failure {
                reason: self.reason(&task.result).unwrap_or_else(|| task.status.clone()),
            }),
            // PENDING, and whatever else comes before an end.
            _ => Ok(TaskState::Pending),
        }
    }

    /// Where a payout stands, by our name of it.
    ///
    /// # Errors
    /// Why it is not known, which says nothing of the payout.
    pub async fn payout_status(
        &self,
        crypto: &Currency,
        external_id: &str,
    ) -> Result<PayoutState, ProviderError> {
        let mut url = self.url(&[crypto.as_str(), "payout", "status"])?;
        url.query_pairs_mut().append_pair("external_id", external_id);
        let answer = self.send(self.keyed(Method::GET, url)).await?;
        // In their words: another 404 comes from who is not SHKeeper, and says nothing of payouts.
        if answer.status == StatusCode::NOT_FOUND
            && answer.json().is_some_and(|json| json["error"] == "Payout not found")
        {
            return Ok(PayoutState::Unknown);
        }
        let PayoutRecord { status, txid } = self.success(&answer)?;
        Ok(match status {
            PayoutProgress::InProgress => PayoutState::InProgress,
            PayoutProgress::Success => PayoutState::Success { txid },
            PayoutProgress::Fail => PayoutState::Fail,
        })
    }

    /// The result of a task that ended: each destination with its own success, here of one.
    fn transfers(&self, result: &Value) -> Result<TaskState, ProviderError> {
        let unclear = |reason: &str| Err(ProviderError::Unclear(reason.to_owned()));
        let Some(transfers) = result.as_array().filter(|transfers| !transfers.is_empty()) else {
            return unclear("the task has ended without a result");
        };
        let (sent, failed): (Vec<_>, Vec<_>) = transfers.iter().partition(|transfer| {
            transfer.is_string()
                || transfer["status"].as_str().is_some_and(|s| s.eq_ignore_ascii_case("success"))
        });
        let Some(first) = failed.first() else {
            return Ok(TaskState::Success { txids: sent.into_iter().flat_map(made).collect() });
        };
        if !sent.is_empty() || failed.iter().any(|transfer| !made(transfer).is_empty()) {
            return unclear("the task has failed with a part of it sent");
        }
        let reason = self.reason(first).unwrap_or_else(|| "the transfer failed".to_owned());
        Ok(TaskState::Failure { reason })
    }
}

/// The transactions of one transfer.
fn made(transfer: &Value) -> Vec<String> {
    if transfer.is_string() { txids(transfer) } else { txids(&transfer["txids"]) }
}

/// Transactions, as one text or as a list of them.
fn txids(value: &Value) -> Vec<String> {
    let one = |value: &Value| value.as_str().map(str::to_owned);
    match value {
        Value::Array(list) => list.iter().filter_map(one).collect(),
        value => one(value).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests;
