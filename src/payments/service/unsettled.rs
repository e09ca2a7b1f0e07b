//! What an operator has to see to: money that came and pays nothing, came in part, or did not arrive.

use std::{convert::identity, time::Duration};

use super::PaymentService;
use crate::{
    clock::Timestamp,
    db::Tx,
    error::Result,
    payments::{
        documents::{Payment, Payout},
        requests::Unsettled,
        store::unsettled,
    },
    rest::list::{List, Page},
};

/// After how long a payout that is not through needs a look.
const WAITS: Duration = Duration::from_hours(1);

impl PaymentService {
    /// The payments that wait for somebody in this way, the oldest first.
    pub(in crate::payments) async fn unsettled(
        &self,
        kind: Unsettled,
        page: Page,
    ) -> Result<List<Payment>> {
        let after: Option<String> = page.after()?;
        let unit = async move |tx: &mut Tx<'_>| {
            let (after, limit) = (after.unwrap_or_default(), fetch(&page));
            let rows = match kind {
                Unsettled::Unapplied => unsettled::unapplied(tx, &after, limit).await?,
                Unsettled::Partial => unsettled::partial(tx, &after, limit).await?,
            };
            Ok(List::of(rows, &page, |payment| payment.id.to_string(), identity))
        };
        self.db.read(unit).await
    }

    /// The payouts that need a look, the oldest first.
    pub(in crate::payments) async fn unsettled_payouts(&self, page: Page) -> Result<List<Payout>> {
        let after: Option<String> = page.after()?;
        let unit = async move |tx: &mut Tx<'_>| {
            let waits = i64::try_from(WAITS.as_millis()).unwrap_or(i64::MAX);
            let begun_before = Timestamp::from_millis(tx.now().millis() - waits);
            let after = after.unwrap_or_default();
            let rows = unsettled::payouts(tx, &after, begun_before, fetch(&page)).await?;
            Ok(List::of(rows, &page, |payout| payout.id.to_string(), identity))
        };
        self.db.read(unit).await
    }
}

fn fetch(page: &Page) -> i64 {
    i64::try_from(page.fetch()).unwrap_or(i64::MAX)
}
