//! Numbering what a unit of work announces, and keeping it: once, in however many streams it is.

use std::collections::BTreeMap;

use super::{
    Result, Tx,
    budget::{Budget, KeepLimits, name, row_bytes, too_large, wire},
};
use crate::{
    id::Ids,
    params,
    stream::{CommittedEvent, Stream},
};

/// Events after which a long stream is shortened, at most. Few, so that a unit never removes many.
pub(super) const MAX_STEP: i64 = 16;

/// Numbers what the unit announced and keeps it. Streams are taken in one order everywhere, so
/// units never wait for each other in a circle; the row of a stream is locked until the commit, so
/// numbers rise in commit order. They begin after `after`, in every stream.
///
/// # Errors
/// The store's, and [`Kind::TooLarge`](crate::db::Kind::TooLarge) when it is more than one unit may keep.
pub(in crate::db) async fn number(
    tx: &mut Tx<'_>,
    limits: KeepLimits,
    after: i64,
) -> Result<Vec<CommittedEvent>> {
    const KEEP: &str = "
        INSERT INTO events (stream, seq, position, wire, created_at, subject, shared, source)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    const INSERT_SHARED: &str =
        "INSERT INTO shared_events (id, position, wire, created_at) VALUES ($1, $2, $3, $4)";
    let events = std::mem::take(&mut tx.announced);
    let streams: Vec<Vec<Stream>> = events
        .iter()
        .map(|event| if event.kept() { event.streams() } else { Vec::new() })
        .collect();
    let counts = counts(streams.iter().flatten());
    // The row of each stream, and one in it for each of its events: before any of them is written.
    let rows = counts.iter().map(|(name, events)| (1 + events) * row_bytes(name));
    if rows.sum::<usize>() > limits.unit_bytes {
        return Err(too_large());
    }
    let mut next = take_numbers(tx, &counts, limits, after).await?;
    // After the rows of all the streams are locked, so that positions rise in each of them.
    let kept = streams.iter().filter(|streams| !streams.is_empty()).count();
    let mut positions = tx.take_positions(kept).await?.into_iter();
    let mut announced = Vec::with_capacity(events.len());
    let mut rows = Vec::with_capacity(streams.iter().map(Vec::len).sum());
    let mut budget = Budget::new(limits);
    for (event, streams) in events.into_iter().zip(streams) {
        let mut numbers = Vec::with_capacity(streams.len());
        for stream in streams {
            let name = stream.to_string();
            if let Some(seq) = next.get_mut(&name) {
                numbers.push((stream, name, *seq));
                *seq += 1;
            }
        }
        let mut wire_events = event.render(numbers.first().map_or(0, |(_, _, seq)| *seq));
        name(&mut wire_events, numbers.len());
        let (mut position, created_at) = (0, tx.now());
        if let Some((_, name, seq)) = numbers.first() {
            position = positions.next().unwrap_or_default();
            let (names, subject) = (numbers.iter().map(|(_, name, _)| &**name), event.subject());
            let source = event.source().filter(|_| numbers.len() == 1);
            let wire = if source.is_some() { String::new() } else { wire(&wire_events)? };
            budget.spend(names, wire.len() + source.as_ref().map_or(0, String::len))?;
            let nothing = None::<String>;
            if numbers.len() > 1 {
                let id = Ids.next().into_bytes();
                tx.execute(INSERT_SHARED, &params![id.as_slice(), position, wire, created_at])
                    .await?;
                rows.extend(numbers.iter().map(|(_, name, seq)| {
                    let shared = id.as_slice();
                    params![name, *seq, position, "", created_at, subject, shared, nothing.clone()]
                }));
            } else {
                let shared = None::<Vec<u8>>;
                rows.push(params![name, *seq, position, wire, created_at, subject, shared, source]);
            }
        }
        let numbers = numbers.into_iter().map(|(stream, _, seq)| (stream, seq)).collect();
        announced.push(CommittedEvent { position, created_at, numbers, wire_events });
    }
    tx.for_each(KEEP, &rows).await?;
    Ok(announced)
}

/// How many events there are for each of these streams.
fn counts<'s>(streams: impl Iterator<Item = &'s Stream>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for stream in streams {
        *counts.entry(stream.to_string()).or_default() += 1;
    }
    counts
}

/// The first number for each of these streams, which get so many events.
async fn take_numbers(
    tx: &mut Tx<'_>,
    counts: &BTreeMap<String, usize>,
    limits: KeepLimits,
    after: i64,
) -> Result<BTreeMap<String, i64>> {
    const NEXT: &str = "
        INSERT INTO streams (stream, seq, epoch) VALUES ($1, $2, $3)
        ON CONFLICT (stream) DO UPDATE SET seq = streams.seq + excluded.seq
        RETURNING stream, seq";
    let count = |events: usize| i64::try_from(events).unwrap_or(i64::MAX);
    let rows: Vec<_> =
        counts.iter().map(|(stream, events)| params![stream, count(*events), Ids.next()]).collect();
    let mut next = BTreeMap::new();
    for row in tx.for_each(NEXT, &rows).await? {
        let (stream, last): (String, i64) = (row.get("stream")?, row.get("seq")?);
        let count = counts.get(&stream).copied().map_or(0, count);
        let last = after + last;
        shorten(tx, &stream, last, count, limits).await?;
        next.insert(stream, last - count + 1);
    }
    Ok(next)
}

/// Removes the oldest events of a stream that is to get `count` more, up to number `last`, so that
/// no more than so many are kept; once in a while, and a few at a time: a stream that was longer
/// comes down by and by.
async fn shorten(
    tx: &mut Tx<'_>,
    stream: &str,
    last: i64,
    count: i64,
    limits: KeepLimits,
) -> Result<()> {
    const SHORTEN: &str = "
        DELETE FROM events WHERE stream = $1 AND seq IN (
            SELECT seq FROM events WHERE stream = $1 AND seq <= $2 AND position <= $4
            ORDER BY seq LIMIT $3)";
    let KeepLimits { per_stream: most, needed_after, .. } = limits;
    let step = (most / 100).clamp(1, MAX_STEP);
    let upto = last - most + step - 1;
    if upto > 0 && last / step > (last - count) / step {
        let few = 2 * count.max(step);
        tx.execute(SHORTEN, &params![stream, upto, few, needed_after]).await?;
    }
    Ok(())
}
