//! What the fake knows: invoices, payouts and their tasks, and what callbacks say of them.

use rust_decimal::Decimal;
use serde_json::{Value, json};
use stoa::clock::Timestamp;

use super::{Outcome, delivery::written};

/// Coins that are switched on. LTC's wallet sends at once and has no tasks.
pub const COINS: [(&str, &str); 4] =
    [("ETH", "Ethereum"), ("ETH-USDT", "USDT ERC20"), ("BTC", "Bitcoin"), ("LTC", "Litecoin")];

/// SHKeeper's fee in percent, which the buyer pays on top.
const FEE: Decimal = Decimal::TWO;

#[derive(Default)]
pub struct Book {
    pub invoices: Vec<Invoice>,
    pub calls: Vec<PayoutCall>,
    payouts: Vec<Payout>,
}

/// An invoice, as it was asked for last.
#[derive(Clone, Debug)]
pub struct Invoice {
    pub id: usize,
    pub external_id: String,
    pub callback_url: String,
    pub crypto: String,
    pub fiat: String,
    pub amount_fiat: Decimal,
    pub amount_crypto: Decimal,
    pub wallet: String,
    /// How many times it was asked for.
    pub asked: usize,
    balance_fiat: Decimal,
    balance_crypto: Decimal,
    transactions: Vec<Transaction>,
}

#[derive(Clone, Debug)]
struct Transaction {
    txid: String,
    amount_fiat: Decimal,
    amount_crypto: Decimal,
    at: Timestamp,
}

/// A payout as it was asked for.
#[derive(Clone, Debug)]
pub struct PayoutCall {
    pub crypto: String,
    pub external_id: String,
    pub amount: String,
    pub destination: String,
    pub fee: String,
    pub callback_url: String,
    /// Whether the wallet was told to pay it.
    pub paid: bool,
}

struct Payout {
    call: PayoutCall,
    task_id: Option<String>,
    txid: String,
    at: Timestamp,
    outcome: Option<Outcome>,
}

/// How much one coin is worth.
fn rate(crypto: &str) -> Decimal {
    if crypto.ends_with("-USDT") { Decimal::ONE } else { Decimal::new(337_924, 2) }
}

/// At most ten digits after the point, without zeros at the end.
fn short(amount: Decimal) -> String {
    amount.round_dp(10).normalize().to_string()
}

/// `2024-06-25 15:45:38`
fn date(at: Timestamp, between: &str) -> String {
    at.to_string()[..19].replace('T', between)
}

impl Book {
    pub fn invoice(&self, external_id: &str) -> Option<&Invoice> {
        self.invoices.iter().rev().find(|invoice| invoice.external_id == external_id)
    }

    fn known(&self, external_id: &str) -> &Invoice {
        self.invoice(external_id).unwrap_or_else(|| panic!("no invoice {external_id}"))
    }

    /// The invoice of that name, URL and currency, which is changed, or a new one.
    pub fn request(&mut self, crypto: &str, body: &Value) -> Result<Value, String> {
        let text = |name: &str| body[name].as_str().map(str::to_owned).ok_or(format!("'{name}'"));
        let (external_id, callback_url, fiat) =
            (text("external_id")?, text("callback_url")?, text("fiat")?);
        let amount_fiat: Decimal = text("amount")?.parse().map_err(|_| "ConversionSyntax")?;
        let same = |invoice: &Invoice| {
            (&invoice.external_id, &invoice.callback_url, &invoice.fiat)
                == (&external_id, &callback_url, &fiat)
        };
        let index = self.invoices.iter().position(same).unwrap_or_else(|| {
            let id = self.invoices.len() + 61;
            self.invoices.push(Invoice {
                id,
                external_id,
                callback_url,
                fiat,
                crypto: String::new(),
                amount_fiat,
                amount_crypto: Decimal::ZERO,
                wallet: String::new(),
                asked: 0,
                balance_fiat: Decimal::ZERO,
                balance_crypto: Decimal::ZERO,
                transactions: Vec::new(),
            });
            self.invoices.len() - 1
        });
        let invoice = &mut self.invoices[index];
        crypto.clone_into(&mut invoice.crypto);
        invoice.wallet = format!("0x{}{:036}", crypto.len(), invoice.id);
        invoice.amount_fiat = amount_fiat;
        let with_fee = amount_fiat * (Decimal::ONE_HUNDRED + FEE) / Decimal::ONE_HUNDRED;
        invoice.amount_crypto = (with_fee / rate(crypto)).round_dp(8).normalize();
        invoice.asked += 1;
        let display_name = COINS.iter().find(|(name, _)| *name == crypto).map(|(_, shown)| shown);
        Ok(json!({
            "status": "success",
            "id": invoice.id,
            "wallet": invoice.wallet,
            "amount": short(invoice.amount_crypto),
            "exchange_rate": short(rate(crypto)),
            "display_name": display_name,
            "recalculate_after": 0,
        }))
    }

    pub fn pay(&mut self, external_id: &str, amount: Decimal, txid: &str, at: Timestamp) {
        let index = self.invoices.iter().rposition(|invoice| invoice.external_id == external_id);
        let invoice = &mut self.invoices[index.expect("an invoice of that name")];
        let amount_crypto = amount / rate(&invoice.crypto);
        invoice.balance_fiat += amount;
        invoice.balance_crypto += amount_crypto;
        let txid = txid.to_owned();
        invoice.transactions.push(Transaction { txid, amount_fiat: amount, amount_crypto, at });
    }

    /// Where a transaction's callback goes, and its body.
    pub fn invoice_callback(&self, external_id: &str, txid: &str) -> (String, Vec<u8>) {
        let invoice = self.known(external_id);
        assert!(invoice.transactions.iter().any(|transaction| transaction.txid == txid), "{txid}");
        let transactions: Vec<_> = invoice
            .transactions
            .iter()
            .map(|transaction| {
                let without_fee =
                    transaction.amount_fiat * Decimal::ONE_HUNDRED / (Decimal::ONE_HUNDRED + FEE);
                json!({
                    "txid": transaction.txid,
                    "date": date(transaction.at, " "),
                    "amount_crypto": short(transaction.amount_crypto),
                    "amount_fiat": short(transaction.amount_fiat),
                    "amount_fiat_without_fee": short(without_fee),
                    "fee_fiat": short(transaction.amount_fiat - without_fee),
                    "trigger": transaction.txid == txid,
                    "crypto": invoice.crypto,
                })
            })
            .collect();
        let most = invoice.amount_fiat * Decimal::new(105, 2);
        let status = if invoice.balance_fiat < invoice.amount_fiat * Decimal::new(95, 2) {
            "PARTIAL"
        } else if invoice.balance_fiat < most {
            "PAID"
        } else {
            "OVERPAID"
        };
        let over = (invoice.balance_fiat - most).max(Decimal::ZERO);
        let body = json!({
            "external_id": invoice.external_id,
            "crypto": invoice.crypto,
            "addr": invoice.wallet,
            "fiat": invoice.fiat,
            "balance_fiat": short(invoice.balance_fiat),
            "balance_crypto": short(invoice.balance_crypto),
            "paid": status != "PARTIAL",
            "status": status,
            "transactions": transactions,
            "fee_percent": short(FEE),
            "fee_fixed": "0",
            "fee_policy": "PERCENT_FEE",
            "overpaid_fiat": format!("{over:.2}"),
        });
        (invoice.callback_url.clone(), written(body))
    }

    pub fn unconfirmed_callback(
        &self,
        external_id: &str,
        amount: &str,
        txid: &str,
    ) -> (String, Vec<u8>) {
        let invoice = self.known(external_id);
        let body = json!({
            "status": "unconfirmed",
            "external_id": invoice.external_id,
            "crypto": invoice.crypto,
            "addr": invoice.wallet,
            "txid": txid,
            "amount": amount,
        });
        (invoice.callback_url.clone(), written(body))
    }

    /// The last call, taken on unless one of that name and coin was before.
    pub fn take_payout(&mut self, at: Timestamp) -> Result<Value, String> {
        let number = self.payouts.len() + 14;
        let call = self.calls.last_mut().expect("a call");
        let twice = |payout: &Payout| {
            (&payout.call.external_id, &payout.call.crypto) == (&call.external_id, &call.crypto)
        };
        if !call.external_id.is_empty() && self.payouts.iter().any(twice) {
            return Err(format!(
                "Payout with this external_id already exists: {}",
                call.external_id
            ));
        }
        call.amount.parse::<Decimal>().map_err(|_| "ConversionSyntax".to_owned())?;
        call.paid = true;
        let at_once = call.crypto == "LTC";
        let task_id = (!at_once).then(|| format!("4b0aba9e-5c3d-4a0a-9c4e-{number:012}"));
        let txid = format!("0xfeed{number}");
        let mut answer = if at_once {
            json!({ "result": txid, "error": null, "id": "shkeeper" })
        } else {
            json!({ "task_id": task_id })
        };
        answer["external_id"] = json!(call.external_id);
        let call = call.clone();
        self.payouts.push(Payout { call, task_id, txid, at, outcome: None });
        Ok(answer)
    }

    pub fn task(&self, task_id: &str) -> Value {
        let payout = self.payouts.iter().find(|payout| payout.task_id.as_deref() == Some(task_id));
        let Some((payout, outcome)) = payout.and_then(|payout| Some((payout, payout.outcome?)))
        else {
            return json!({ "status": "PENDING", "result": null });
        };
        let PayoutCall { amount, destination, .. } = &payout.call;
        let (status, txids) = match outcome {
            Outcome::Fail => {
                return json!({ "status": "FAILURE", "result": "Not enough ETH to pay for gas" });
            }
            Outcome::NotDelivered => ("error", Vec::new()),
            Outcome::Sent | Outcome::Success => ("success", vec![payout.txid.as_str()]),
        };
        let transfer = json!({ "amount": amount.parse::<f64>().ok(), "dest": destination, "status": status, "txids": txids });
        json!({ "status": "SUCCESS", "result": [transfer] })
    }

    pub fn payout_status(&self, crypto: &str, external_id: &str) -> Option<Value> {
        let same = |payout: &&Payout| {
            (payout.call.external_id.as_str(), payout.call.crypto.as_str()) == (external_id, crypto)
        };
        let index = self.payouts.iter().position(|payout| same(&payout))?;
        let payout = &self.payouts[index];
        let (status, sent) = match payout.outcome {
            None => ("IN_PROGRESS", payout.task_id.is_none()),
            Some(Outcome::Sent) => ("IN_PROGRESS", true),
            Some(Outcome::NotDelivered) => ("IN_PROGRESS", false),
            Some(Outcome::Success) => ("SUCCESS", true),
            Some(Outcome::Fail) => ("FAIL", false),
        };
        Some(json!({
            "id": index + 14,
            "external_id": external_id,
            "crypto": crypto,
            "status": status,
            "amount": long(&payout.call.amount),
            "destination": payout.call.destination,
            "txid": sent.then_some(&payout.txid),
        }))
    }

    /// Where the callback of a success goes, and its body.
    pub fn finish_payout(&mut self, external_id: &str, to: Outcome) -> Option<(String, Vec<u8>)> {
        let index = self.payouts.iter().rposition(|payout| payout.call.external_id == external_id);
        let index = index.unwrap_or_else(|| panic!("no payout {external_id}"));
        let payout = &mut self.payouts[index];
        payout.outcome = Some(to);
        (to == Outcome::Success).then(|| self.payout_callback(external_id))?
    }

    /// The callback of a payout that went through, whatever became of it here.
    pub fn payout_callback(&self, external_id: &str) -> Option<(String, Vec<u8>)> {
        let index = self.payouts.iter().rposition(|payout| payout.call.external_id == external_id);
        let index = index.unwrap_or_else(|| panic!("no payout {external_id}"));
        let payout = &self.payouts[index];
        if payout.call.callback_url.is_empty() {
            return None;
        }
        let amount: Decimal = payout.call.amount.parse().expect("an amount");
        let body = json!({
            "payout_id": index + 14,
            "external_id": external_id,
            "tx_hash": payout.txid,
            "status": "SUCCESS",
            "amount": long(&payout.call.amount),
            "crypto": payout.call.crypto,
            "amount_fiat": (amount * rate(&payout.call.crypto)).to_string(),
            "currency_fiat": "USD",
            "timestamp": date(payout.at, "T"),
        });
        Some((payout.call.callback_url.clone(), written(body)))
    }
}

/// Ten digits after the point.
fn long(amount: &str) -> String {
    format!("{:.10}", amount.parse::<Decimal>().expect("an amount"))
}
