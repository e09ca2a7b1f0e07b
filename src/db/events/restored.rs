//! A store that was restored from a backup does not know what its clients have heard since: its
//! streams start anew, in another epoch, with numbers and positions that nobody has heard of. The rows of the
//! streams stay as they are: they count their events, and the numbers begin after the last restore.

use super::{Result, Tx};
use crate::{
    id::{Id, Ids},
    params,
};

/// How far the numbers of a new life are from those of the one before: more than any stream had.
const GAP: i64 = 1_000_000_000;

/// Where streams begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The number before the first; 0 in a store that never was restored.
    pub after: i64,
    /// The life of every stream since the store was restored; before, each has its own.
    pub epoch: Option<Id>,
}

/// Starts every stream anew.
///
/// # Errors
/// The store's.
pub(in crate::db) async fn start_anew(tx: &mut Tx<'_>) -> Result<()> {
    const NOTE: &str = "
        INSERT INTO restores (restored_at, after_seq, epoch)
        SELECT $1, COALESCE(MAX(after_seq), 0) + $2, $3 FROM restores";
    const SESSIONS: &str = "UPDATE positions SET sessions_after = $1";
    let now = tx.now();
    tx.execute(NOTE, &params![now, GAP, Ids.next()]).await?;
    // What a client was told of sessions and offsets since is not known.
    tx.execute(SESSIONS, &params![now]).await?;
    tx.skip_positions(GAP).await
}

/// Where a stream begins that nothing was ever announced in.
///
/// # Errors
/// The store's.
pub async fn beginning(tx: &mut Tx<'_>) -> Result<Beginning> {
    const LAST: &str = "
        SELECT after_seq, epoch FROM restores
        WHERE after_seq = (SELECT MAX(after_seq) FROM restores)";
    let Some(row) = tx.optional(LAST, &[]).await? else {
        return Ok(Beginning { after: 0, epoch: None });
    };
    Ok(Beginning { after: row.get("after_seq")?, epoch: row.get("epoch")? })
}
