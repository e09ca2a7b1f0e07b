//! What a courier has in hand, read from the store and written down there.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use super::queue::{Changes, Head, MOST_HEADS, Queue};
use crate::{
    clock::Timestamp,
    db::{Db, Tx},
    error::Result,
    stream::Stream,
    webhooks::store::{
        deliveries::{self, Pending, Tried},
        progress::{self, Progress},
        streams,
    },
};

/// For how long an event is tried; then it is put aside.
const TRIED_FOR: Duration = Duration::from_hours(3 * 24);

/// Rows that are read at once.
const ROWS: i64 = 1000;

/// What came of what was written down.
pub(super) struct Written {
    /// Streams for which an event was waited, each with the position for which it is now.
    pub(super) freed: Vec<(Stream, Option<i64>)>,
    /// Events whose turn has come.
    pub(super) heads: Vec<(i64, Head)>,
    /// The lowest position of what has a row.
    pub(super) lowest: Option<i64>,
}

/// Reads what a webhook is still to be told.
pub(super) async fn load(db: &Db, webhook: &str) -> Result<(Progress, Queue, Option<i64>)> {
    let name: Arc<str> = webhook.into();
    let of = name.clone();
    let unit = async move |tx: &mut Tx<'_>| {
        let (progress, lowest) =
            (progress::find(tx, &of).await?, deliveries::lowest(tx, &of).await?);
        Ok((progress, lowest, heads(tx, &of).await?))
    };
    let (progress, lowest, heads) = db.read(unit).await?;
    let mut held = HashMap::new();
    let mut after = Some((String::new(), i64::MIN));
    while let Some((stream, position)) = after {
        let of = name.clone();
        let unit = async move |tx: &mut Tx<'_>| {
            Ok(streams::held_after(tx, &of, (&stream, position), ROWS).await?)
        };
        let some = db.read(unit).await?;
        after = some.last().map(|(stream, position)| (stream.to_string(), *position));
        for (stream, position) in some {
            // The first of each is the lowest.
            held.entry(stream).or_insert(position);
        }
    }
    let heads: BTreeMap<_, _> = heads.into_iter().collect();
    Ok((progress, Queue::new(progress.position, held, heads), lowest))
}

/// Those that are to be tried, the soonest first, as many as are tried at a time.
pub(super) async fn heads(tx: &mut Tx<'_>, webhook: &str) -> Result<Vec<(i64, Head)>> {
    let most = i64::try_from(MOST_HEADS).unwrap_or(i64::MAX);
    let mut heads = Vec::new();
    for Pending { position, tried, .. } in deliveries::to_try(tx, webhook, most).await? {
        let streams = streams::of(tx, webhook, position).await?.into();
        heads.push((position, Head { streams, tried, flying: false }));
    }
    Ok(heads)
}

/// Writes down what has changed, in one unit; nothing where somebody else changed what is kept.
pub(super) async fn write(
    tx: &mut Tx<'_>,
    webhook: &str,
    progress: Progress,
    changes: &Changes,
) -> Result<Option<Written>> {
    if !progress::set(tx, webhook, progress).await? {
        return Ok(None);
    }
    for held in &changes.held {
        deliveries::keep(tx, webhook, &held.pending).await?;
        streams::hold(tx, webhook, held.pending.position, &held.streams).await?;
    }
    for (position, tried) in &changes.failed {
        deliveries::note(tx, webhook, *position, tried).await?;
    }
    let mut touched = Vec::new();
    for (position, tried) in &changes.aside {
        deliveries::put_aside(tx, webhook, *position, tried).await?;
        touched.extend(streams::release(tx, webhook, *position).await?);
    }
    for position in &changes.finished {
        deliveries::forget(tx, webhook, *position).await?;
        touched.extend(streams::release(tx, webhook, *position).await?);
    }
    touched.sort_unstable();
    touched.dedup();
    let (mut freed, mut next) = (Vec::with_capacity(touched.len()), Vec::new());
    for stream in touched {
        let lowest = streams::lowest(tx, webhook, &stream).await?;
        next.extend(lowest);
        freed.push((stream, lowest));
    }
    next.sort_unstable();
    next.dedup();
    let mut heads = Vec::new();
    for position in next {
        heads.extend(promote(tx, webhook, position).await?);
    }
    let lowest = deliveries::lowest(tx, webhook).await?;
    Ok(Some(Written { freed, heads, lowest }))
}

/// Has an event tried now, if it is the first in all of its streams and was not tried yet.
async fn promote(tx: &mut Tx<'_>, webhook: &str, position: i64) -> Result<Option<(i64, Head)>> {
    let streams = streams::of(tx, webhook, position).await?;
    for stream in &streams {
        if streams::lowest(tx, webhook, stream).await? != Some(position) {
            return Ok(None);
        }
    }
    let Some(Pending { tried, .. }) = deliveries::find(tx, webhook, position).await? else {
        return Ok(None);
    };
    if tried.next_at.is_some() {
        return Ok(None);
    }
    let tried = Tried { next_at: Some(tx.now()), ..tried };
    deliveries::note(tx, webhook, position, &tried).await?;
    Ok(Some((position, Head { streams: streams.into(), tried, flying: false })))
}

/// Whether an event is put aside that fails since then.
pub(super) fn is_over(tried_at: Timestamp, now: Timestamp) -> bool {
    tried_at.until(now) >= TRIED_FOR
}
