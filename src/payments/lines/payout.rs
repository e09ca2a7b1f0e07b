//! The lines of payouts.

use garde::Validate;
use serde::{Deserialize, Serialize};

use super::callback::CallbackPart;
use crate::{
    clock::Timestamp,
    db::Tx,
    error::Result,
    id::Id,
    money::{Amount, Currency},
    moving::{self, Facts, Hex, Key, Line, Outcome, Place, Tag},
    payments::{
        documents::Payout,
        events::{PaymentProvider, PayoutStatus},
        store::{
            moved,
            payouts::{self, PayoutRow},
        },
        transaction,
    },
    text,
};

/// What a seller is paid.
#[derive(Debug, PartialEq, Serialize, Deserialize, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct PayoutLine {
    #[serde(rename = "type", default, skip_serializing)]
    line: Tag,
    id: Id,
    seller_id: Id,
    payment_id: Option<Id>,
    amount: Amount,
    currency: Currency,
    #[garde(length(bytes, max = 1024), custom(text::line))]
    destination: String,
    provider: PaymentProvider,
    status: PayoutStatus,
    #[garde(inner(length(bytes, max = 512), custom(text::line)))]
    task_id: Option<String>,
    #[garde(inner(length(bytes, min = 1, max = 512), custom(text::line)))]
    tx_hash: Option<String>,
    #[garde(inner(length(chars, max = 4000), custom(text::prose)))]
    reason: Option<String>,
    /// The part of its callback's path that nobody else knows.
    #[garde(inner(length(bytes, min = 1, max = 512), custom(text::line)))]
    webhook_token: Option<String>,
    /// The name of the request that began it.
    request_name: Option<Hex>,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[garde(dive)]
    callbacks: Vec<CallbackPart>,
}

impl PayoutLine {
    /// As it is told when it is in the store, however it was written.
    fn into_kept(mut self) -> Self {
        self.tx_hash = self.tx_hash.map(transaction::name);
        self.callbacks.sort_by(|one, other| one.key.cmp(&other.key));
        self
    }

    async fn of(tx: &mut Tx<'_>, row: PayoutRow) -> Result<Self> {
        let PayoutRow { document: payout, webhook_token, request_name } = row;
        Ok(Self {
            line: Tag,
            callbacks: CallbackPart::about(tx, &payout.id).await?,
            id: payout.id,
            seller_id: payout.seller_id,
            payment_id: payout.payment_id,
            amount: payout.amount,
            currency: payout.currency,
            destination: payout.destination,
            provider: payout.provider,
            status: payout.status,
            task_id: payout.task_id,
            tx_hash: payout.tx_hash,
            reason: payout.reason,
            webhook_token,
            request_name: request_name.map(Hex),
            created_at: payout.created_at,
            updated_at: payout.updated_at,
        })
    }
}

impl Line for PayoutLine {
    const TYPE: &'static str = "payout";

    fn facts(&self) -> Facts {
        let mut keys = vec![Key::own("payout", &self.id)];
        if let Some(payment) = &self.payment_id {
            keys.push(Key::other("payment", payment));
            if matches!(self.status, PayoutStatus::Pending | PayoutStatus::Processing) {
                keys.push(Key::own("payment of a payout under way", payment));
            }
        }
        let token = self.webhook_token.iter();
        keys.extend(token.map(|token| Key::own("webhookToken of a payout", token)));
        let name = self.request_name.iter();
        keys.extend(name.map(|name| Key::own("requestName of a payout", name)));
        let hash = self.tx_hash.iter().map(|hash| transaction::key(hash));
        keys.extend(hash.map(|key| Key::own("transaction of a payout", key)));
        keys.extend(self.callbacks.iter().map(|one| Key::own("key of a callback", &one.key)));
        Facts { place: Place::default(), keys }
    }

    async fn import(self, tx: &mut Tx<'_>) -> Result<Outcome> {
        let line = self.into_kept();
        if let Some(kept) = moved::find_payout(tx, &line.id).await? {
            return Outcome::compared(&line, &Self::of(tx, kept).await?.into_kept());
        }
        let document = Payout {
            underscore_id: line.id.clone(),
            id: line.id,
            seller_id: line.seller_id,
            payment_id: line.payment_id,
            amount: line.amount,
            currency: line.currency,
            destination: line.destination,
            provider: line.provider,
            status: line.status,
            task_id: line.task_id,
            tx_hash: line.tx_hash,
            reason: line.reason,
            created_at: line.created_at,
            updated_at: line.updated_at,
        };
        let request_name = line.request_name.map(|Hex(name)| name);
        let row = PayoutRow { document, webhook_token: line.webhook_token, request_name };
        if !payouts::insert(tx, &row).await? {
            let other = "another of its payment is under way, or has its transaction";
            return Ok(Outcome::other(other));
        }
        for callback in line.callbacks {
            callback.import(tx, &row.document.id).await?;
        }
        Ok(Outcome::Written)
    }

    async fn next(tx: &mut Tx<'_>, after: &str) -> Result<(Vec<Self>, Option<String>)> {
        let rows = moved::payouts_after(tx, after, moving::ROWS).await?;
        let next = moving::behind(&rows, |row| row.document.id.to_string());
        let mut lines = Vec::with_capacity(rows.len());
        for row in rows {
            lines.push(Self::of(tx, row).await?);
        }
        Ok((lines, next))
    }
}
