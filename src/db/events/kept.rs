//! A walk through everything that is kept of events, whatever stream it is in, so that what must not be
//! shown any more is found and written anew. Numbers stay: a stream never has a hole.

use super::{Error, Kind, Result, Tx, read_wire};
use crate::{
    db::Row,
    params,
    stream::{Stream, WireEvent},
};

/// Wire events that are kept together.
#[derive(Clone, Debug)]
pub struct KeptWire {
    /// Where.
    pub at: KeptAt,
    /// The wire events.
    pub wire_events: Vec<WireEvent>,
}

/// Where wire events are kept; in this order they are walked through.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeptAt {
    /// In a stream, under a number.
    Stream(String, i64),
    /// Once for several streams, under an id.
    Shared(Vec<u8>),
}

/// The next after `after`, at most `limit`; from the beginning when there is none.
///
/// # Errors
/// The store's.
pub async fn kept_after(
    tx: &mut Tx<'_>,
    after: Option<&KeptAt>,
    limit: i64,
) -> Result<Vec<KeptWire>> {
    const OF_STREAMS: &str = "
        SELECT stream, seq, wire FROM events WHERE (stream, seq) > ($1, $2)
        ORDER BY stream, seq LIMIT $3";
    const SHARED: &str = "
        SELECT id, wire FROM shared_events WHERE id > $1 ORDER BY id LIMIT $2";
    let none = KeptAt::Stream(String::new(), 0);
    let mut shared: &[u8] = &[];
    match after.unwrap_or(&none) {
        KeptAt::Stream(stream, seq) => {
            let rows = tx.all(OF_STREAMS, &params![stream, *seq, limit]).await?;
            if !rows.is_empty() {
                return rows.iter().map(of_stream).collect();
            }
        }
        KeptAt::Shared(id) => shared = id,
    }
    tx.all(SHARED, &params![shared, limit]).await?.iter().map(of_several).collect()
}

/// What is kept there now, if anything still is.
///
/// # Errors
/// The store's.
pub async fn kept_at(tx: &mut Tx<'_>, at: &KeptAt) -> Result<Option<KeptWire>> {
    const OF_STREAM: &str = "
        SELECT stream, seq, wire FROM events WHERE stream = $1 AND seq = $2";
    const SHARED: &str = "SELECT id, wire FROM shared_events WHERE id = $1";
    match at {
        KeptAt::Stream(stream, seq) => tx
            .lock_row(OF_STREAM, &params![stream, *seq])
            .await?
            .as_ref()
            .map(of_stream)
            .transpose(),
        KeptAt::Shared(id) => {
            tx.lock_row(SHARED, &params![id.as_slice()]).await?.as_ref().map(of_several).transpose()
        }
    }
}

/// Has that say something else from now on.
///
/// # Errors
/// The store's.
pub async fn set_kept(tx: &mut Tx<'_>, at: &KeptAt, wire_events: &[WireEvent]) -> Result<()> {
    const OF_STREAM: &str = "UPDATE events SET wire = $3 WHERE stream = $1 AND seq = $2";
    const SHARED: &str = "UPDATE shared_events SET wire = $2 WHERE id = $1";
    let wire =
        serde_json::to_string(wire_events).map_err(|error| Error::new(Kind::Other, error))?;
    match at {
        KeptAt::Stream(stream, seq) => tx.execute(OF_STREAM, &params![stream, *seq, wire]).await?,
        KeptAt::Shared(id) => tx.execute(SHARED, &params![id.as_slice(), wire]).await?,
    };
    Ok(())
}

/// Has the next events of a stream after number `after` show nothing any more; the number of the last
/// of them, none when there are no more.
///
/// # Errors
/// The store's.
pub async fn empty_after(
    tx: &mut Tx<'_>,
    stream: &Stream,
    after: i64,
    limit: i64,
) -> Result<Option<i64>> {
    const NEXT: &str = "
        SELECT seq, wire FROM events WHERE stream = $1 AND seq > $2 ORDER BY seq LIMIT $3";
    const EMPTY: &str = "
        UPDATE events SET wire = '[]', shared = NULL, subject = NULL, source = NULL
        WHERE stream = $1 AND seq = $2";
    let mut last = None;
    for row in tx.all(NEXT, &params![stream, after, limit]).await? {
        let seq: i64 = row.get("seq")?;
        if row.get::<String>("wire")? != "[]" {
            tx.execute(EMPTY, &params![stream, seq]).await?;
        }
        last = Some(seq);
    }
    Ok(last)
}

fn of_stream(row: &Row) -> Result<KeptWire> {
    let wire: String = row.get("wire")?;
    // One of several streams, or that names what it shows, says that elsewhere.
    let wire_events = if wire.is_empty() { Vec::new() } else { read_wire(&wire)? };
    Ok(KeptWire { at: KeptAt::Stream(row.get("stream")?, row.get("seq")?), wire_events })
}

fn of_several(row: &Row) -> Result<KeptWire> {
    let wire_events = read_wire(&row.get::<String>("wire")?)?;
    Ok(KeptWire { at: KeptAt::Shared(row.get("id")?), wire_events })
}
