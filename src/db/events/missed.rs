//! What those missed of streams who have heard all up to positions in them.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::{Portion, Result, StoredEvent, Tx, events_after, number::MAX_STEP};
use crate::{
    params,
    stream::{Stream, WireEvent},
};

/// What came to a stream after a position.
#[derive(Clone, Debug, Default)]
pub struct Missed {
    /// The number of the first event after it, whether or not there is one.
    pub next: i64,
    /// The events.
    pub events: Vec<StoredEvent>,
    /// Their bytes.
    bytes: usize,
}

/// What somebody wants to know who was away.
#[derive(Clone, Debug)]
pub struct Absence {
    /// Streams, each with the position up to which all of it was heard.
    pub streams: Vec<(Stream, i64)>,
    /// How much they are told at most: events of each stream, bytes of all.
    pub most: Portion,
}

/// What is known of a stream and a position in it.
struct Place {
    seq: i64,
    oldest: i64,
    /// The number of the last event up to the position that is still kept.
    before: Option<i64>,
}

/// What came to the streams of each; none for whom that is more than is wanted, or where some may have been
/// given up: for its age, or since each stream keeps no more than `per_stream`. What several missed alike
/// is read once.
///
/// # Errors
/// The store's.
pub async fn missed_by(
    tx: &mut Tx<'_>,
    all: &[Absence],
    per_stream: i64,
) -> Result<Vec<Option<Vec<(Stream, Arc<Missed>)>>>> {
    // From there on all is there that a stream has not more than enough of.
    const PRUNED: &str = "SELECT pruned FROM positions";
    let pruned: i64 = tx.one(PRUNED, &[]).await?.get("pruned")?;
    let is_kept = |absence: &&Absence| absence.streams.iter().all(|(_, after)| *after >= pruned);
    let asked = all.iter().filter(is_kept).flat_map(|absence| &absence.streams);
    let places = places(tx, &asked.collect()).await?;
    let mut known: HashMap<(Stream, i64), Arc<Missed>> = HashMap::new();
    let mut answers = Vec::with_capacity(all.len());
    'each: for absence in all {
        if !is_kept(&absence) {
            answers.push(None);
            continue;
        }
        let Portion { events, mut bytes } = absence.most;
        let mut missed = Vec::with_capacity(absence.streams.len());
        for asked in &absence.streams {
            if !known.contains_key(asked) {
                let (stream, most) = (&asked.0, Portion { events, bytes });
                if let Some(read) = read(tx, stream, places.get(asked), per_stream, most).await? {
                    known.insert(asked.clone(), Arc::new(read));
                }
            }
            let Some((read, left)) =
                known.get(asked).and_then(|read| Some((read, bytes.checked_sub(read.bytes)?)))
            else {
                answers.push(None);
                continue 'each;
            };
            bytes = left;
            missed.push((asked.0.clone(), read.clone()));
        }
        answers.push(Some(missed));
    }
    Ok(answers)
}

async fn places(
    tx: &mut Tx<'_>,
    asked: &BTreeSet<&(Stream, i64)>,
) -> Result<HashMap<(Stream, i64), Place>> {
    const PLACES: &str = "
        WITH asked (stream, position) AS (VALUES ($1, $2))
        SELECT asked.stream, asked.position, s.seq + COALESCE(r.after_seq, 0) AS seq,
            (SELECT MIN(e.seq) FROM events e WHERE e.stream = asked.stream) AS oldest,
            (SELECT e.seq FROM events e WHERE e.stream = asked.stream AND e.position <= asked.position
                ORDER BY e.seq DESC LIMIT 1) AS before
        FROM asked JOIN streams s ON s.stream = asked.stream
        LEFT JOIN restores r ON r.after_seq = (SELECT MAX(after_seq) FROM restores)";
    let rows: Vec<_> = asked.iter().map(|(stream, after)| params![stream, *after]).collect();
    let mut places = HashMap::with_capacity(rows.len());
    for row in tx.for_each(PLACES, &rows).await? {
        let seq = row.get("seq")?;
        let oldest = row.get::<Option<i64>>("oldest")?.unwrap_or(seq + 1);
        let place = Place { seq, oldest, before: row.get("before")? };
        places.insert((row.get("stream")?, row.get("position")?), place);
    }
    Ok(places)
}

/// What came to a stream after a place.
async fn read(
    tx: &mut Tx<'_>,
    stream: &Stream,
    place: Option<&Place>,
    per_stream: i64,
    most: Portion,
) -> Result<Option<Missed>> {
    let Some(Place { seq, oldest, before }) = place else { return Ok(Some(Missed::default())) };
    // What is shortened has about as many left as may be, or more.
    if before.is_none() && *oldest > 1 && seq - oldest + 1 >= per_stream - 2 * MAX_STEP {
        return Ok(None);
    }
    let mut last = before.unwrap_or(oldest - 1);
    let mut missed = Missed { next: last + 1, ..Missed::default() };
    if seq - last > most.events.into() {
        return Ok(None);
    }
    while last < *seq {
        let portion = Portion { bytes: most.bytes.saturating_sub(missed.bytes), ..most };
        let some = events_after(tx, stream, last, portion).await?;
        let Some(end) = some.last() else { return Ok(None) };
        last = end.seq;
        let wire_events = some.iter().flat_map(|event| &event.wire_events);
        missed.bytes += wire_events.map(WireEvent::bytes).sum::<usize>();
        if missed.bytes > most.bytes {
            return Ok(None);
        }
        missed.events.extend(some);
    }
    Ok(Some(missed))
}
