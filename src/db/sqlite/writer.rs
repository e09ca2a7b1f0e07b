//! The thread that writes. It takes what waits and carries it out in one transaction with a
//! savepoint for each unit: one flush of the disk serves many. After the commit a task tells
//! everyone, while the thread goes on: one wake serves many, too.

use std::{path::PathBuf, sync::Arc};

use rusqlite::Connection;
use tokio::{sync::mpsc, task};

use super::{Job, at_once, connect};
use crate::{
    db::{
        Error, Kind, Result, Shared, Tx, events,
        unit::{Unit, carry_out},
    },
    stream::Announced,
};

/// Units of one transaction, at most.
const BATCH: usize = 256;

pub(super) struct Writer {
    path: PathBuf,
    /// None after a failure, until it can be opened again.
    connection: Option<Connection>,
    shared: Arc<Shared>,
    /// To [`tell`].
    committed: mpsc::Sender<Batch>,
}

/// The units of a transaction that wait for its commit.
#[derive(Default)]
pub(super) struct Batch {
    units: Vec<Box<dyn Unit>>,
    /// What they announced, in their order.
    announced: Vec<Announced>,
    /// Whether a unit was lost because the store is not well.
    outage: bool,
}

/// How a unit of a batch ended.
enum End {
    /// It waits for the commit.
    Kept(Vec<Announced>),
    /// It alone is lost.
    Lost(Result<()>),
    /// The whole transaction is lost.
    AllLost(Error),
}

impl Writer {
    pub(super) fn new(
        path: PathBuf,
        connection: Connection,
        shared: Arc<Shared>,
        committed: mpsc::Sender<Batch>,
    ) -> Self {
        Self { path, connection: Some(connection), shared, committed }
    }

    /// Its life: until it is told to end, or nobody is left who could.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut waiting = Vec::with_capacity(BATCH);
        while jobs.blocking_recv_many(&mut waiting, BATCH) > 0 {
            let mut units = Vec::with_capacity(waiting.len());
            for job in waiting.drain(..) {
                match job {
                    Job::Unit(unit) if unit.is_wanted() => units.push(unit),
                    Job::Unit(_) => {}
                    Job::End => jobs.close(),
                }
            }
            self.serve(units);
        }
        if let Some(connection) = self.connection
            && let Err(error) = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        {
            tracing::warn!(%error, "the database's log was not folded in; the next start does it");
        }
    }

    /// Carries out a batch and has everyone in it told how it went.
    fn serve(&mut self, units: Vec<Box<dyn Unit>>) {
        let mut units = units.into_iter();
        let mut batch = Batch::default();
        match self.commit(&mut units, &mut batch) {
            Ok(()) => {
                self.shared.report(!batch.outage);
                if self.committed.blocking_send(batch).is_err() {
                    tracing::error!("nobody is told of a commit: the runtime has ended");
                }
            }
            Err(error) => {
                tracing::error!(%error, "a transaction was lost");
                if error.is_outage() {
                    self.shared.report(false);
                }
                self.recover(&error);
                for unit in batch.units.into_iter().chain(units) {
                    unit.answer(Err(error.clone()));
                }
            }
        }
    }

    /// Carries the units out in one transaction. With an error none of those in the batch is kept.
    fn commit(
        &mut self,
        units: &mut impl Iterator<Item = Box<dyn Unit>>,
        batch: &mut Batch,
    ) -> Result<()> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(connect(&self.path)?),
        };
        step(connection, "BEGIN IMMEDIATE")?;
        for mut unit in units {
            match attempt(connection, &self.shared, &mut *unit) {
                End::Kept(announced) => {
                    batch.units.push(unit);
                    batch.announced.extend(announced);
                }
                End::Lost(cause) => {
                    batch.outage |= cause.as_ref().is_err_and(Error::is_outage);
                    unit.answer(cause);
                }
                End::AllLost(error) => {
                    batch.units.push(unit);
                    return Err(error);
                }
            }
        }
        step(connection, "COMMIT")
    }

    /// Makes the connection fit for the next batch. Full disks pass; after anything else it is
    /// opened anew.
    fn recover(&mut self, error: &Error) {
        let Some(connection) = &self.connection else { return };
        let rolled_back = connection.is_autocommit() || step(connection, "ROLLBACK").is_ok();
        if !rolled_back || error.kind() == Kind::Unavailable {
            self.connection = None;
        }
    }
}

/// Sends what was committed and answers who asked for it, in the order of the commits.
pub(super) async fn tell(shared: Arc<Shared>, mut committed: mpsc::Receiver<Batch>) {
    while let Some(batch) = committed.recv().await {
        shared.send(batch.announced);
        for unit in batch.units {
            unit.answer(Ok(()));
            task::consume_budget().await;
        }
    }
}

/// Carries out one unit in a savepoint of its own.
fn attempt(connection: &Connection, shared: &Shared, unit: &mut dyn Unit) -> End {
    if let Err(error) = step(connection, "SAVEPOINT unit") {
        return End::AllLost(error);
    }
    let mut tx = Tx::sqlite(connection, shared.clock.now());
    let run = at_once(async {
        carry_out(unit, &mut tx).await?;
        Ok(events::number(&mut tx).await?)
    });
    if connection.is_autocommit() {
        // SQLite itself rolls back where it can't go on, and every earlier unit with it.
        let gave_up = || Error::new(Kind::Unavailable, "the transaction was given up");
        return End::AllLost(tx.failure().cloned().unwrap_or_else(gave_up));
    }
    let ended = match &run {
        Ok(_) => step(connection, "RELEASE unit"),
        Err(_) => {
            step(connection, "ROLLBACK TO unit").and_then(|()| step(connection, "RELEASE unit"))
        }
    };
    match (ended, run) {
        (Err(error), _) => End::AllLost(error),
        (Ok(()), Ok(announced)) => End::Kept(announced),
        (Ok(()), Err(lost)) => End::Lost(lost.cause()),
    }
}

fn step(connection: &Connection, sql: &str) -> Result<()> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}
