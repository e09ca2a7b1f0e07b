//! The lines of streams: how far each is, so that its numbers go on, and who comes back is told whether
//! something was missed. The events of before are not moved.

use garde::Validate;
use serde::{Deserialize, Serialize};

use crate::{
    db::{self, Tx},
    error::{Error, Result},
    id::Id,
    moving::{self, Facts, Key, Line, Outcome, Place, Tag},
    stream::Stream,
};

/// How far a stream is.
#[derive(Debug, PartialEq, Serialize, Deserialize, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct StreamLine {
    #[serde(rename = "type", default, skip_serializing)]
    line: Tag,
    name: String,
    /// The number of its last event.
    #[garde(range(max = (1_u64 << 53) - 1))]
    seq: u64,
    /// Its life.
    epoch: Id,
}

impl Line for StreamLine {
    const TYPE: &'static str = "stream";

    fn check(&self) -> Result<()> {
        let is_stream = self.name.parse::<Stream>().is_ok();
        if is_stream { Ok(()) } else { Err(Error::invalid("/name", "is no stream's")) }
    }

    fn facts(&self) -> Facts {
        Facts { place: Place::default(), keys: vec![Key::own("stream", &self.name)] }
    }

    async fn import(self, tx: &mut Tx<'_>) -> Result<Outcome> {
        let stream: Stream = self.name.parse().map_err(Error::internal)?;
        let seq = i64::try_from(self.seq).map_err(Error::internal)?;
        // One that is there goes on by itself.
        let begun = db::continue_stream(tx, &stream, seq, &self.epoch).await?;
        Ok(if begun { Outcome::Written } else { Outcome::Same })
    }

    async fn next(tx: &mut Tx<'_>, after: &str) -> Result<(Vec<Self>, Option<String>)> {
        let streams = db::streams_after(tx, after, moving::ROWS).await?;
        let next = moving::behind(&streams, |(stream, ..)| stream.to_string());
        let line = |(stream, seq, epoch): (Stream, u64, Id)| Self {
            line: Tag,
            name: stream.to_string(),
            seq,
            epoch,
        };
        Ok((streams.into_iter().map(line).collect(), next))
    }
}
