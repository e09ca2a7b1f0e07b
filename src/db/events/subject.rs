//! Kept events that show something which can change later: found by it, and written anew.

use super::{Error, Kind, Result, Tx, read_wire};
use crate::{
    clock::Timestamp,
    id::Id,
    params,
    stream::{Stream, WireEvent},
};

/// A kept event, where it is kept, and since when.
#[derive(Clone, Debug)]
pub struct KeptEvent {
    /// The only stream that keeps it.
    pub stream: Stream,
    /// Its number there.
    pub seq: i64,
    /// The wire events that it became.
    pub wire_events: Vec<WireEvent>,
    /// When it was announced.
    pub created_at: Timestamp,
}

/// The kept events that show this and are in one stream alone, in their order.
///
/// # Errors
/// The store's.
pub async fn events_about(tx: &mut Tx<'_>, subject: &Id) -> Result<Vec<KeptEvent>> {
    const ABOUT: &str = "
        SELECT stream, seq, wire, created_at FROM events
        WHERE subject = $1 AND shared IS NULL ORDER BY seq";
    let rows = tx.all(ABOUT, &params![subject]).await?;
    rows.iter()
        .map(|row| {
            Ok(KeptEvent {
                stream: row.get("stream")?,
                seq: row.get("seq")?,
                wire_events: read_wire(&row.get::<String>("wire")?)?,
                created_at: row.get("created_at")?,
            })
        })
        .collect()
}

/// Takes back the kept events that show this, wherever they are: they show nothing any more, and their
/// numbers stay.
///
/// # Errors
/// The store's.
pub async fn take_back(tx: &mut Tx<'_>, subject: &Id) -> Result<()> {
    const ABOUT: &str = "SELECT shared FROM events WHERE subject = $1 AND shared IS NOT NULL";
    const EMPTY: &str = "
        UPDATE events SET wire = '[]', shared = NULL, subject = NULL WHERE subject = $1";
    const SHARED: &str = "DELETE FROM shared_events WHERE id = $1";
    let shared = tx.all(ABOUT, &params![subject]).await?;
    tx.execute(EMPTY, &params![subject]).await?;
    for row in shared {
        tx.execute(SHARED, &params![row.get::<Vec<u8>>("shared")?]).await?;
    }
    Ok(())
}

/// Writes a kept event anew, as these wire events. With none of them it shows nothing any more, and
/// its number stays.
///
/// # Errors
/// The store's.
pub async fn rewrite(tx: &mut Tx<'_>, event: &KeptEvent, wire_events: &[WireEvent]) -> Result<()> {
    const REWRITE: &str = "UPDATE events SET wire = $3 WHERE stream = $1 AND seq = $2";
    const EMPTY: &str = "
        UPDATE events SET wire = '[]', subject = NULL WHERE stream = $1 AND seq = $2";
    if wire_events.is_empty() {
        tx.execute(EMPTY, &params![&event.stream, event.seq]).await?;
        return Ok(());
    }
    let wire =
        serde_json::to_string(wire_events).map_err(|error| Error::new(Kind::Other, error))?;
    tx.execute(REWRITE, &params![&event.stream, event.seq, wire]).await?;
    Ok(())
}
