//! Asks SHKeeper for the payouts that are under way: it tells of those that are through, if it is
//! set up to, and never of those that fail.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::{
    documents::Payout,
    events::PayoutStatus,
    service::PaymentService,
    shkeeper::{PayoutState, ProviderError, Shkeeper, TaskState},
    store::payouts,
};
use crate::{clock::Timestamp, db::Tx, error::Result, metrics};

/// After how long a payout is asked for whose call has no answer yet: the server that made the call
/// has stopped meanwhile.
const LEFT_ALONE: Duration = Duration::from_mins(5);

/// After a day SHKeeper does not look for the confirmation of what it sent any more.
const LOOKS_FOR: Duration = Duration::from_hours(24);

/// Payouts under way that operators are told of, at most.
const COUNTED: i64 = 10_000;

impl PaymentService {
    /// Asks every `pause`, for ever; at once returns where there is nobody to ask. So many at a time,
    /// and the next ones then, so that a provider that is slow with many is asked no faster.
    pub async fn watch_payouts(self, pause: Duration) {
        let Some(provider) = self.shkeeper.clone().filter(|p| p.client.pays_out()) else { return };
        let mut ticks = interval(pause);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut after = String::new();
        loop {
            ticks.tick().await;
            if let Err(error) = self.tell_payouts().await {
                tracing::debug!(%error, "payouts under way could not be counted");
            }
            match self.ask_for_payouts(&provider.client, after.clone()).await {
                Ok(last) => after = last,
                Err(error) => tracing::warn!(%error, "payouts under way could not be asked for"),
            }
        }
    }

    /// Tells operators how many are under way, and for how long.
    async fn tell_payouts(&self) -> Result<()> {
        let all =
            async |tx: &mut Tx<'_>| Ok((payouts::all_under_way(tx, COUNTED).await?, tx.now()));
        let (all, now) = self.db.read(all).await?;
        for (status, word) in
            [(PayoutStatus::Pending, "pending"), (PayoutStatus::Processing, "processing")]
        {
            let number = all.iter().filter(|(found, _)| *found == status).count();
            metrics::payouts_pending(word)
                .set(f64::from(u32::try_from(number).unwrap_or(u32::MAX)));
        }
        let oldest = all.iter().map(|(_, since)| since.until(now)).max();
        metrics::payouts_oldest().set(oldest.unwrap_or_default().as_secs_f64());
        Ok(())
    }

    /// Asks for the payouts after this one; where to go on from, which is the beginning after the
    /// last.
    async fn ask_for_payouts(&self, client: &Shkeeper, after: String) -> Result<String> {
        let most = client.poll_batch();
        let due = async move |tx: &mut Tx<'_>| {
            let now = tx.now();
            let asked_before = Timestamp::from_millis(
                now.millis() - i64::try_from(LEFT_ALONE.as_millis()).unwrap_or(i64::MAX),
            );
            Ok((payouts::under_way(tx, &after, asked_before, most.into()).await?, now))
        };
        let (batch, now) = self.db.read(due).await?;
        let whole = u32::try_from(batch.len()).is_ok_and(|found| found == most);
        let last = batch.last().filter(|_| whole);
        let last = last.map(|payout| payout.id.to_string()).unwrap_or_default();
        for payout in batch {
            let id = payout.id.clone();
            match ask(client, &payout, now).await {
                Ok(Some((status, tx_hash))) => {
                    if let Err(error) = self.note_payout(payout.id, status, tx_hash).await {
                        tracing::warn!(?error, payout = %id, "a payout's state was not kept");
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, payout = %id, "a payout's state is not known");
                }
            }
        }
        Ok(last)
    }
}

/// What SHKeeper knows of a payout now; none when that says nothing.
async fn ask(
    client: &Shkeeper,
    payout: &Payout,
    now: Timestamp,
) -> Result<Option<(PayoutStatus, Option<String>)>, ProviderError> {
    let coin = &payout.currency;
    let known = match client.payout_status(coin, payout.id.as_str()).await? {
        PayoutState::Success { txid } => return Ok(Some((PayoutStatus::Completed, txid))),
        PayoutState::Fail => return Ok(Some((PayoutStatus::Failed, None))),
        PayoutState::InProgress => Some((PayoutStatus::Processing, None)),
        PayoutState::Unknown => None,
    };
    // A task whose transfer failed leaves its payout in progress for good, so that is asked too.
    let Some(task) = &payout.task_id else { return Ok(known) };
    Ok(match client.task(coin, task).await? {
        TaskState::Pending => known,
        TaskState::Failure { .. } => Some((PayoutStatus::Failed, None)),
        TaskState::Success { txids } => {
            let old = payout.created_at + LOOKS_FOR <= now;
            let status = if old { PayoutStatus::Completed } else { PayoutStatus::Processing };
            Some((status, txids.into_iter().next()))
        }
    })
}
