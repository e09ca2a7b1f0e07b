//! The lines of payments, each with its ledger.

use std::collections::BTreeSet;

use garde::Validate;
use serde::{Deserialize, Serialize};

use super::callback::CallbackPart;
use crate::{
    clock::Timestamp,
    db::Tx,
    error::Result,
    id::Id,
    money::{Amount, Currency},
    moving::{self, Facts, Key, Line, Outcome, Place, Tag},
    payments::{
        documents::{LedgerEntry, LedgerKind, Payment, PaymentInvoice},
        events::{EscrowState, PaymentProvider, PaymentStatus},
        store::{
            ledger, moved,
            payments::{self, PaymentRow},
            transactions,
        },
        transaction,
    },
    text,
};

/// What a buyer pays for a request.
#[derive(Debug, PartialEq, Serialize, Deserialize, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct PaymentLine {
    #[serde(rename = "type", default, skip_serializing)]
    line: Tag,
    id: Id,
    request_id: Id,
    buyer_id: Id,
    seller_id: Id,
    provider: PaymentProvider,
    amount: Amount,
    currency: Currency,
    status: PaymentStatus,
    escrow_state: Option<EscrowState>,
    #[garde(inner(length(bytes, min = 1, max = 512), custom(text::line)))]
    tx_hash: Option<String>,
    received_amount: Amount,
    #[garde(dive)]
    invoice: Option<InvoicePart>,
    /// The part of its callback's path that nobody else knows.
    #[garde(inner(length(bytes, min = 1, max = 512), custom(text::line)))]
    webhook_token: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// What happened, the first first.
    #[serde(default)]
    #[garde(dive)]
    ledger: Vec<EntryPart>,
    /// The coins that the provider was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[garde(custom(different))]
    coins: Vec<CoinPart>,
    /// The transactions that pay it. Without it: the one of `txHash`, and those that the ledger has as
    /// received.
    #[garde(inner(inner(length(bytes, min = 1, max = 512), custom(text::line))))]
    transactions: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[garde(dive)]
    callbacks: Vec<CallbackPart>,
}

/// What the buyer is to send, and where to.
#[derive(Debug, PartialEq, Serialize, Deserialize, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
struct InvoicePart {
    #[garde(length(bytes, max = 512), custom(text::line))]
    wallet: String,
    crypto: Currency,
    crypto_amount: Amount,
    #[garde(length(bytes, max = 512), custom(text::line))]
    exchange_rate: String,
    #[garde(length(bytes, max = 512), custom(text::line))]
    display_name: String,
}

/// Something that happened.
#[derive(Debug, PartialEq, Serialize, Deserialize, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
struct EntryPart {
    kind: LedgerKind,
    amount: Option<Amount>,
    currency: Option<Currency>,
    #[garde(inner(length(bytes, max = 512), custom(text::line)))]
    tx_hash: Option<String>,
    #[garde(inner(length(chars, max = 4000), custom(text::prose)))]
    detail: Option<String>,
    created_at: Timestamp,
}

/// A coin, and how often the buyer changed to it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CoinPart {
    crypto: Currency,
    #[serde(default)]
    changes: u32,
}

/// Refuses a coin that is named twice.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives references")]
fn different(coins: &[CoinPart], (): &()) -> garde::Result {
    let different: BTreeSet<&str> = coins.iter().map(|coin| coin.crypto.as_str()).collect();
    if different.len() == coins.len() {
        return Ok(());
    }
    Err(garde::Error::new("names a coin twice"))
}

impl PaymentLine {
    async fn of(tx: &mut Tx<'_>, row: PaymentRow) -> Result<Self> {
        let PaymentRow { document: payment, webhook_token } = row;
        let id = payment.id;
        let entry = |entry: LedgerEntry| EntryPart {
            kind: entry.kind,
            amount: entry.amount,
            currency: entry.currency,
            tx_hash: entry.tx_hash,
            detail: entry.detail,
            created_at: entry.created_at,
        };
        let coin = |(crypto, changes): (Currency, i64)| CoinPart {
            crypto,
            changes: u32::try_from(changes).unwrap_or(u32::MAX),
        };
        let invoice = payment.invoice.map(|invoice| InvoicePart {
            wallet: invoice.wallet,
            crypto: invoice.crypto,
            crypto_amount: invoice.crypto_amount,
            exchange_rate: invoice.exchange_rate,
            display_name: invoice.display_name,
        });
        Ok(Self {
            line: Tag,
            ledger: ledger::list(tx, &id).await?.into_iter().map(entry).collect(),
            coins: moved::coins(tx, &id).await?.into_iter().map(coin).collect(),
            transactions: Some(moved::transactions(tx, &id).await?),
            callbacks: CallbackPart::about(tx, &id).await?,
            id,
            request_id: payment.request_id,
            buyer_id: payment.buyer_id,
            seller_id: payment.seller_id,
            provider: payment.provider,
            amount: payment.amount,
            currency: payment.currency,
            status: payment.status,
            escrow_state: payment.escrow_state,
            tx_hash: payment.tx_hash,
            received_amount: payment.received_amount,
            invoice,
            webhook_token,
            created_at: payment.created_at,
            updated_at: payment.updated_at,
        })
    }

    /// The transactions that pay it, by what is the same for every way to write their names.
    fn paid_by(&self) -> BTreeSet<String> {
        let key = |name: &String| transaction::key(name);
        if let Some(named) = &self.transactions {
            return named.iter().map(key).collect();
        }
        let received = self.ledger.iter().filter(|entry| entry.kind == LedgerKind::Received);
        let received = received.filter_map(|entry| entry.tx_hash.as_ref());
        self.tx_hash.iter().chain(received).map(key).collect()
    }

    /// As it is told when it is in the store, however it was written.
    fn into_kept(mut self) -> Self {
        self.transactions = Some(self.paid_by().into_iter().collect());
        let ledger = self.ledger.iter_mut().map(|entry| &mut entry.tx_hash);
        for hash in ledger.chain([&mut self.tx_hash]) {
            *hash = hash.take().map(transaction::name);
        }
        self.coins.sort_by(|one, other| one.crypto.as_str().cmp(other.crypto.as_str()));
        self.callbacks.sort_by(|one, other| one.key.cmp(&other.key));
        self
    }

    fn row(&self) -> PaymentRow {
        let invoice = self.invoice.as_ref().map(|invoice| PaymentInvoice {
            wallet: invoice.wallet.clone(),
            crypto: invoice.crypto.clone(),
            crypto_amount: invoice.crypto_amount,
            exchange_rate: invoice.exchange_rate.clone(),
            display_name: invoice.display_name.clone(),
        });
        let document = Payment {
            id: self.id.clone(),
            underscore_id: self.id.clone(),
            request_id: self.request_id.clone(),
            buyer_id: self.buyer_id.clone(),
            seller_id: self.seller_id.clone(),
            provider: self.provider,
            amount: self.amount,
            currency: self.currency.clone(),
            status: self.status,
            escrow_state: self.escrow_state,
            tx_hash: self.tx_hash.clone(),
            received_amount: self.received_amount,
            invoice,
            created_at: self.created_at,
            updated_at: self.updated_at,
        };
        PaymentRow { document, webhook_token: self.webhook_token.clone() }
    }
}

impl Line for PaymentLine {
    const TYPE: &'static str = "payment";

    fn facts(&self) -> Facts {
        let mut keys = vec![Key::own("payment", &self.id), Key::other("request", &self.request_id)];
        if matches!(self.status, PaymentStatus::Pending | PaymentStatus::Partial) {
            let name = format!("{} {:?}", self.request_id, self.provider);
            keys.push(Key::own("request and provider of a payment under way", name));
        }
        let token = self.webhook_token.iter();
        keys.extend(token.map(|token| Key::own("webhookToken of a payment", token)));
        if self.provider == PaymentProvider::Decentralized {
            let hash = self.tx_hash.iter().map(|hash| transaction::name(hash.clone()));
            keys.extend(hash.map(|hash| Key::own("txHash of a payment", hash)));
        }
        let paid_by = self.paid_by().into_iter();
        keys.extend(paid_by.map(|key| Key::own("transaction of a payment", key)));
        keys.extend(self.callbacks.iter().map(|one| Key::own("key of a callback", &one.key)));
        Facts { place: Place::default(), keys }
    }

    async fn import(self, tx: &mut Tx<'_>) -> Result<Outcome> {
        let line = self.into_kept();
        if let Some(kept) = payments::find(tx, &line.id).await? {
            return Outcome::compared(&line, &Self::of(tx, kept).await?.into_kept());
        }
        if !payments::insert(tx, &line.row(), line.ledger.len()).await? {
            let other = "another is under way for its request, or has its transaction";
            return Ok(Outcome::other(other));
        }
        let Self { id, ledger, coins, transactions: names, callbacks, .. } = line;
        let entry = |(entry, ordinal): (EntryPart, u64)| LedgerEntry {
            ordinal,
            kind: entry.kind,
            amount: entry.amount,
            currency: entry.currency,
            tx_hash: entry.tx_hash,
            detail: entry.detail,
            created_at: entry.created_at,
        };
        let ledger: Vec<LedgerEntry> = ledger.into_iter().zip(1..).map(entry).collect();
        for entry in &ledger {
            ledger::insert(tx, &id, entry).await?;
        }
        for coin in coins {
            moved::insert_coin(tx, &id, &coin.crypto, coin.changes.into()).await?;
        }
        let mut is_whole = true;
        for name in names.into_iter().flatten() {
            is_whole &= transactions::claim(tx, &name, &id).await?;
        }
        for callback in callbacks {
            callback.import(tx, &id).await?;
        }
        let other = "a transaction of it pays another; the rest is there";
        Ok(if is_whole { Outcome::Written } else { Outcome::other(other) })
    }

    async fn next(tx: &mut Tx<'_>, after: &str) -> Result<(Vec<Self>, Option<String>)> {
        let rows = moved::payments_after(tx, after, moving::ROWS).await?;
        let next = moving::behind(&rows, |row| row.document.id.to_string());
        let mut lines = Vec::with_capacity(rows.len());
        for row in rows {
            lines.push(Self::of(tx, row).await?);
        }
        Ok((lines, next))
    }

    async fn is_there(tx: &mut Tx<'_>, name: &str) -> Result<bool> {
        let Ok(id) = name.parse::<Id>() else { return Ok(false) };
        Ok(payments::find(tx, &id).await?.is_some())
    }
}
