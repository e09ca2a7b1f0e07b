//! The thread that writes. It takes what waits and carries it out in one transaction with a
//! savepoint for each unit: one flush of the disk serves many. After the commit a task tells
//! everyone, while the thread goes on: one wake serves many, too.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::{sync::mpsc, task};

use super::{
    files::Files,
    mark::Mark,
    session::Session,
    space::Space,
    threads::{Job, at_once},
};
use crate::{
    db::{
        Error, Kind, Result, Tx, events,
        opening::Opening,
        reach::Reach,
        shared::Shared,
        unit::{Unit, carry_out},
    },
    stream::CommittedEvent,
};

/// Units of one transaction, at most.
const BATCH: usize = 256;

/// How long units are added to a transaction: those that are done do not wait for a slow one that
/// has not begun.
const BATCH_TIME: Duration = Duration::from_millis(20);

pub(super) struct Writer {
    files: Arc<Files>,
    /// None after a failure, until it can be opened again.
    session: Option<Session>,
    space: Space,
    mark: Mark,
    /// How long a unit may take.
    limit: Duration,
    /// What the database was opened for.
    opening: Opening,
    shared: Arc<Shared>,
    /// To [`tell`].
    committed: mpsc::Sender<Batch>,
}

/// The units of a transaction that wait for its commit.
#[derive(Default)]
pub(super) struct Batch {
    units: Vec<Box<dyn Unit>>,
    /// What they announced, in their order.
    announced: Vec<CommittedEvent>,
    /// Whether a unit was lost because the store is not well.
    outage: bool,
    /// Whether a unit took something back.
    takes_back: bool,
    /// The database's number by then, where it was raised.
    number: Option<i64>,
}

/// How a unit of a batch ended.
enum End {
    /// It waits for the commit, and may have taken something back.
    Kept(Vec<CommittedEvent>, bool),
    /// It alone is lost.
    Lost(Result<()>),
    /// The whole transaction is lost.
    AllLost(Error),
}

impl Writer {
    pub(super) fn new(
        files: Arc<Files>,
        session: Session,
        mark: Mark,
        (limit, opening): (Duration, Opening),
        shared: Arc<Shared>,
        committed: mpsc::Sender<Batch>,
    ) -> Self {
        let space = Space::new(files.log(), opening);
        Self { files, session: Some(session), space, mark, limit, opening, shared, committed }
    }

    /// Its life: until it is told to end, or nobody is left who could.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut waiting = Vec::with_capacity(BATCH);
        loop {
            while let Some(session) = &self.session
                && self.space.is_due()
                && jobs.is_empty()
                && !jobs.is_closed()
            {
                self.space.step(&session.connection, &mut self.mark);
            }
            if jobs.blocking_recv_many(&mut waiting, BATCH) == 0 {
                break;
            }
            let mut units = Vec::with_capacity(waiting.len());
            for job in waiting.drain(..) {
                match job {
                    Job::Unit(unit) => units.push(unit),
                    Job::Rest => {}
                    Job::End => jobs.close(),
                }
            }
            if units.is_empty() {
                if let Some(session) = self.session.as_ref().filter(|_| jobs.is_empty()) {
                    self.space.rest(&session.connection, &mut self.mark);
                }
                continue;
            }
            let mut units = units.into_iter().peekable();
            while units.peek().is_some() {
                self.serve(&mut units);
            }
            if let Some(session) = &self.session {
                self.space.cut(&session.connection);
            }
            self.space.touch();
        }
        self.files.closing();
        if let Some(session) = self.session
            && let Err(error) = session.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        {
            tracing::warn!(%error, "the database's log was not folded in; the next start does it");
        }
    }

    /// Carries out a batch, as many units as there is time for, and has everyone in it told how it
    /// went.
    fn serve(&mut self, units: &mut impl Iterator<Item = Box<dyn Unit>>) {
        let mut batch = Batch::default();
        match self.commit(units, &mut batch) {
            Ok(()) => {
                if let Some(number) = batch.number {
                    self.mark.note(number);
                }
                if batch.takes_back {
                    self.space.forget();
                }
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
                let lost = |unit: Box<dyn Unit>| unit.answer(Err(error.clone()));
                batch.units.into_iter().for_each(lost);
                // Of a unit that took too long the others who wait know nothing.
                if error.kind() != Kind::Timeout {
                    units.for_each(lost);
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
        let is_new = self.session.is_none();
        let session = match &mut self.session {
            Some(session) => session,
            none => none.insert(Session::to_write(self.files.path())?.for_units(self.opening)?),
        };
        step(&session.connection, "BEGIN IMMEDIATE")?;
        if is_new {
            self.files.opened();
        }
        let changes = session.connection.total_changes();
        let began = Instant::now();
        // Whoever gave up while another process held the file was told that nothing was done.
        for mut unit in units.filter(|unit| unit.is_wanted()) {
            match attempt(session, self.limit, &self.shared, &mut *unit) {
                End::Kept(announced, takes_back) => {
                    self.shared.note_cause(&*unit, &announced);
                    batch.units.push(unit);
                    batch.announced.extend(announced);
                    batch.takes_back |= takes_back;
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
            if began.elapsed() > BATCH_TIME {
                break;
            }
        }
        if session.connection.total_changes() > changes {
            batch.number = Some(self.mark.raise(&session.connection, self.shared.after())?);
        }
        let ending = Instant::now();
        step(&session.connection, "COMMIT")?;
        self.shared.measures.commit.record(ending.elapsed());
        Ok(())
    }

    /// Makes the connection fit for the next batch. Full disks pass; after anything else it is
    /// opened anew.
    fn recover(&mut self, error: &Error) {
        let Some(Session { connection, .. }) = &self.session else { return };
        let rolled_back = connection.is_autocommit() || step(connection, "ROLLBACK").is_ok();
        if !rolled_back || error.kind() == Kind::Unavailable {
            self.files.closing();
            self.session = None;
        }
    }
}

/// Sends what was committed and answers who asked for it, in the order of the commits.
pub(super) async fn tell(
    shared: Arc<Shared>,
    mut reach: Reach,
    mut committed: mpsc::Receiver<Batch>,
) {
    while let Some(batch) = committed.recv().await {
        shared.hand_on(batch.announced, &mut reach);
        for unit in batch.units {
            unit.answer(Ok(()));
            task::consume_budget().await;
        }
    }
}

/// Carries out one unit in a savepoint of its own.
fn attempt(session: &Session, limit: Duration, shared: &Shared, unit: &mut dyn Unit) -> End {
    let connection = &session.connection;
    if let Err(error) = step(connection, "SAVEPOINT unit") {
        return End::AllLost(error);
    }
    session.meter.begin(limit);
    let mut tx = Tx::sqlite(session, shared.clock.now()).by(shared.retell.get());
    let run = at_once(async {
        carry_out(unit, &mut tx).await?;
        Ok(events::number(&mut tx, shared.keep(), shared.after()).await?)
    });
    session.meter.end();
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
        (Ok(()), Ok(announced)) => End::Kept(announced, tx.takes_back),
        (Ok(()), Err(lost)) => End::Lost(lost.cause()),
    }
}

fn step(connection: &Connection, sql: &str) -> Result<()> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}
