//! Kept events that show what a row has: they name it and keep nothing of it, and whoever has the row tells
//! it again, as it is by then.

use std::collections::HashMap;

use super::{Error, Result, Row, Tx};
use crate::{
    db::Source,
    stream::{Stream, WireEvent},
};

/// Events that are told again at once: each may be large.
pub(in crate::db) const AT_ONCE: usize = 32;

/// Whether a row of an event names what it shows.
pub(in crate::db) fn is_named(row: &Row) -> Result<bool> {
    Ok(row.get::<Option<String>>("source")?.is_some())
}

/// What is told again of rows of events, each by its place among them.
pub(in crate::db) type Told = HashMap<usize, Vec<WireEvent>>;

/// Tells these rows of events again, those that name what they show.
pub(super) async fn told(
    tx: &mut Tx<'_>,
    rows: &[Row],
    stream: impl Fn(&Row) -> Result<Stream>,
) -> Result<Told> {
    let (mut places, mut sources) = (Vec::new(), Vec::new());
    for (row, place) in rows.iter().zip(0..) {
        if let Some(name) = row.get("source")? {
            let (seq, created_at) = (row.get("seq")?, row.get("created_at")?);
            places.push(place);
            sources.push(Source { stream: stream(row)?, seq, created_at, name });
        }
    }
    let Some(retell) = tx.retell().filter(|_| !sources.is_empty()) else {
        return Ok(places.into_iter().map(|place| (place, Vec::new())).collect());
    };
    let told = retell.retell(tx, &sources).await.map_err(Error::cause_of)?;
    Ok(places.into_iter().zip(told).collect())
}
