//! Giving old notifications up, a few at a time, so that nobody who writes waits for it. What was
//! unread among them is not unread any more, and its user is told.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::sleep;

use super::{
    service::{NotificationService, announce_counts, less},
    store,
};
use crate::{
    clock::Timestamp,
    db::{self, Tx},
    error::Result,
    id::Id,
};

/// How often old notifications are given up.
const INTERVAL: Duration = Duration::from_mins(10);

/// Rows that one unit removes, at most.
const ROWS: i64 = 50;

/// How long those who write have the store to themselves between two units.
const PAUSE: Duration = Duration::from_millis(50);

impl NotificationService {
    /// Gives up what is older than `keep_for`, now and then, for ever.
    pub async fn prune(self, keep_for: Duration) {
        loop {
            match self.prune_once(keep_for).await {
                Ok(0) => {}
                Ok(notifications) => {
                    tracing::info!(notifications, "old notifications were given up");
                }
                Err(error) => tracing::warn!(?error, "old notifications could not be given up"),
            }
            sleep(INTERVAL).await;
        }
    }

    /// Gives up all that is older now; how many.
    async fn prune_once(&self, keep_for: Duration) -> Result<u64> {
        let before = self.db.read(async |tx: &mut Tx<'_>| Ok(tx.now())).await? - keep_for;
        let mut pruned = 0;
        loop {
            let found = self
                .db
                .read(async move |tx: &mut Tx<'_>| store::oldest(tx, before, ROWS).await)
                .await?;
            if found.is_empty() {
                break;
            }
            let unit = async move |tx: &mut Tx<'_>| give_up(tx, found).await;
            pruned += self.db.write(unit).await?;
            sleep(PAUSE).await;
        }
        // What they said is as old as they are, and what was read is not younger.
        while self.prune_rest(before).await? > 0 {
            sleep(PAUSE).await;
        }
        Ok(pruned)
    }

    async fn prune_rest(&self, before: Timestamp) -> Result<u64> {
        let unit = async move |tx: &mut Tx<'_>| {
            let contents = store::prune_contents(tx, before, ROWS).await?;
            for id in &contents {
                // Events may be kept for longer.
                db::take_back(tx, id).await?;
            }
            Ok(contents.len() as u64 + store::prune_reads(tx, before, ROWS).await?)
        };
        self.db.write(unit).await
    }
}

/// Gives up these notifications, each by its user and its number; how many were still there.
pub(super) async fn give_up(tx: &mut Tx<'_>, found: Vec<(Id, i64)>) -> Result<u64> {
    let mut of_user: BTreeMap<Id, Vec<i64>> = BTreeMap::new();
    for (user, ordinal) in found {
        of_user.entry(user).or_default().push(ordinal);
    }
    let (mut pruned, mut counts) = (0, Vec::new());
    for (user, ordinals) in of_user {
        let inbox = store::inbox_for_update(tx, &user).await?;
        let mut read_by_age = 0;
        for ordinal in ordinals {
            let Some(entry) = store::give_up(tx, &user, ordinal).await? else { continue };
            pruned += 1;
            read_by_age += u64::from(inbox.as_ref().is_some_and(|inbox| entry.is_unread(inbox)));
        }
        if let Some(inbox) = inbox.filter(|_| read_by_age > 0) {
            let unread = less(inbox.unread, read_by_age)?;
            store::set_unread(tx, &user, unread).await?;
            counts.push((user, unread));
        }
    }
    announce_counts(tx, counts);
    Ok(pruned)
}
