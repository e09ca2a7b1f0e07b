//! Giving old messages up, a few at a time, so that nobody who writes waits for it
//! (`MESSAGE_RETENTION`). A conversation's go in the order in which they were written, the first of them
//! first: what is left is numbered without a hole.

use std::time::Duration;

use tokio::time::sleep;

use super::store::old;
use crate::{
    db::{Db, Tx},
    error::Result,
};

/// How often old messages are given up.
const INTERVAL: Duration = Duration::from_mins(10);

/// Rows that one unit removes, at most, about.
const ROWS: i64 = 50;

/// How long those who write have the store to themselves between two units.
const PAUSE: Duration = Duration::from_millis(20);

/// Gives up the messages that are older than `keep_for`, now and then, for ever.
pub async fn prune_messages(db: Db, keep_for: Duration) {
    loop {
        match prune_once(&db, keep_for).await {
            Ok(0) => {}
            Ok(messages) => tracing::info!(messages, "old messages were given up"),
            Err(error) => tracing::warn!(?error, "old messages could not be given up"),
        }
        sleep(INTERVAL).await;
    }
}

/// Gives up all that are older now; how many.
async fn prune_once(db: &Db, keep_for: Duration) -> Result<u64> {
    let before = db.read(async |tx: &mut Tx<'_>| Ok(tx.now())).await? - keep_for;
    let mut pruned = 0;
    loop {
        let oldest = db.read(async move |tx: &mut Tx<'_>| old::conversation(tx, before).await);
        let Some(conversation) = oldest.await? else { return Ok(pruned) };
        let unit = async move |tx: &mut Tx<'_>| old::give_up(tx, &conversation, before, ROWS).await;
        pruned += db.write(unit).await?;
        sleep(PAUSE).await;
    }
}
