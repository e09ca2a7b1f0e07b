//! How much one unit of work may announce, counted by what is kept of it.

use std::{collections::HashSet, io};

use crate::{
    db::error::{Error, Kind, Result},
    id::Ids,
    stream::{DomainEvent, Stream, WireEvent},
};

/// Bytes that a stream takes, and an event in each of its streams, beside the stream's name.
const ROW_BYTES: usize = 128;

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(in crate::db) struct KeepLimits {
    /// Events of one stream.
    pub(in crate::db) per_stream: i64,
    /// Bytes of the events of one unit of work.
    pub(in crate::db) unit_bytes: usize,
    /// What is after this position is kept whatever its stream has.
    pub(in crate::db) needed_after: i64,
}

/// What a unit may still announce.
#[derive(Debug)]
pub struct Budget {
    bytes: usize,
    limit: usize,
    /// The streams whose own rows are counted.
    streams: HashSet<String>,
}

impl Budget {
    pub(in crate::db) fn new(limits: KeepLimits) -> Self {
        Self { bytes: 0, limit: limits.unit_bytes, streams: HashSet::new() }
    }

    /// Takes what an event costs that is to be announced; one for which there is no space takes
    /// nothing.
    ///
    /// # Errors
    /// [`Kind::TooLarge`]
    pub fn take(&mut self, event: &impl DomainEvent) -> Result<()> {
        if !event.kept() {
            return Ok(());
        }
        let names: Vec<_> = event.streams().iter().map(Stream::to_string).collect();
        let mut wire_events = event.render(0);
        name(&mut wire_events, names.len());
        let bytes = match event.source().filter(|_| names.len() == 1) {
            Some(source) => source.len(),
            None => wire_bytes(&wire_events)?,
        };
        self.spend(names.iter().map(String::as_str), bytes)
    }

    pub(super) fn spend<'a>(
        &mut self,
        names: impl Iterator<Item = &'a str> + Clone,
        wire_bytes: usize,
    ) -> Result<()> {
        let rows = |name: &str| {
            let rows = if self.streams.contains(name) { 1 } else { 2 };
            rows * row_bytes(name)
        };
        let bytes = self.bytes + names.clone().map(rows).sum::<usize>() + wire_bytes;
        if bytes > self.limit {
            return Err(too_large());
        }
        self.bytes = bytes;
        self.streams.extend(names.map(str::to_owned));
        Ok(())
    }
}

/// What a row for a stream of this name takes.
pub(super) fn row_bytes(name: &str) -> usize {
    name.len() + ROW_BYTES
}

pub(super) fn too_large() -> Error {
    Error::new(Kind::TooLarge, "the events of one unit of work")
}

/// Names what each of several streams keeps of an event, the same in all of them, so that who is
/// sent several of them can tell.
pub(super) fn name(wire_events: &mut [WireEvent], streams: usize) {
    if streams > 1 {
        for wire_event in wire_events {
            wire_event.id.get_or_insert_with(|| Ids.next());
        }
    }
}

pub(super) fn wire(wire_events: &[WireEvent]) -> Result<String> {
    serde_json::to_string(wire_events).map_err(|error| Error::new(Kind::Other, error))
}

/// How long the same is.
fn wire_bytes(wire_events: &[WireEvent]) -> Result<usize> {
    let mut length = Length(0);
    let written = serde_json::to_writer(&mut length, wire_events);
    written.map(|()| length.0).map_err(|error| Error::new(Kind::Other, error))
}

/// Counts what is written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
