//! Units whose commit was not answered. Whether one is kept is asked of the server as soon as it is
//! there again; until then its streams wait, so that nothing later of them is sent before it.

use std::time::Duration;

use sqlx::PgPool;
use tokio::time::{sleep, timeout};

use super::locks::OrderGuard;
use crate::{
    db::{
        Error, Kind, Result,
        backlog::{Backlog, Counted},
        shared::Shared,
    },
    stream::CommittedEvent,
};

/// How often it is asked what became of a unit.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Until an answer to that.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Bytes that an event takes beside its data.
const EVENT_BYTES: usize = 512;

/// What a unit announced that is being committed.
pub(super) struct Doubt {
    /// What the server calls its transaction; none when it keeps no events.
    name: Option<i64>,
    announced: Vec<CommittedEvent>,
    /// Keep the order in each of its streams.
    _guards: Vec<OrderGuard>,
    _bytes: Counted,
}

/// What became of a transaction.
enum Fate {
    Committed,
    RolledBack,
    /// Its connection has not ended yet as the server sees it, or its commit takes long.
    UnderWay,
}

impl Doubt {
    /// Counts what was announced: while the server takes units and answers nothing, only so much is
    /// in doubt.
    ///
    /// # Errors
    /// [`Kind::Unavailable`]
    pub(super) fn new(
        name: Option<i64>,
        announced: Vec<CommittedEvent>,
        guards: Vec<OrderGuard>,
        uncommitted: &Backlog,
    ) -> Result<Self> {
        let wire_events = announced.iter().flat_map(|event| &event.wire_events);
        let bytes = wire_events.map(|wire_event| wire_event.data.get().len() + EVENT_BYTES).sum();
        let bytes = uncommitted.count(bytes)?;
        Ok(Self { name, announced, _guards: guards, _bytes: bytes })
    }

    /// Sends it, since it is committed.
    pub(super) fn send(self, shared: &Shared) {
        shared.send(self.announced);
    }

    /// Finds out whether a unit was committed, however long the server is away, and sends what it
    /// announced if it was. When the store is closed nobody hears it: who comes back reads it.
    pub(super) async fn settle(mut self, probes: &PgPool, shared: &Shared) {
        let Some(name) = self.name else { return };
        // What is not kept is for the moment.
        self.announced.retain(|event| !event.numbers.is_empty());
        while !probes.is_closed() {
            match fate(probes, name).await {
                Ok(Fate::Committed) => {
                    tracing::info!("a unit of work was kept, though its commit was not answered");
                    return self.send(shared);
                }
                Ok(Fate::RolledBack) => return,
                Ok(Fate::UnderWay) => {}
                Err(error) => tracing::debug!(%error, "a unit of work is in doubt"),
            }
            sleep(ASK_AGAIN).await;
        }
    }
}

/// Asks what became of a transaction.
async fn fate(probes: &PgPool, name: i64) -> Result<Fate> {
    const FATE: &str = "SELECT txid_status($1)";
    let mut connection = probes.acquire().await?;
    let ask = sqlx::query_scalar(FATE).bind(name).fetch_one(&mut *connection);
    let fate: Option<String> = match timeout(ANSWER_TIMEOUT, ask).await {
        Ok(Ok(fate)) => fate,
        // Its own server is gone for good: this one has never had so many transactions.
        Ok(Err(error)) if is_unknown(&error) => return Ok(Fate::RolledBack),
        Ok(Err(error)) => {
            connection.close_on_drop();
            return Err(error.into());
        }
        Err(_) => {
            connection.close_on_drop();
            return Err(Error::new(Kind::Timeout, "no answer"));
        }
    };
    Ok(match fate.as_deref() {
        Some("committed") => Fate::Committed,
        Some("in progress") => Fate::UnderWay,
        // Nothing is known of one that is very old.
        _ => Fate::RolledBack,
    })
}

/// Whether the server says that there was no such transaction: `invalid_parameter_value`.
fn is_unknown(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(refusal) if refusal.code().as_deref() == Some("22023"))
}
