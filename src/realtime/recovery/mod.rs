//! Sessions that last: what a client that comes back finds again is kept while it is connected, so that
//! neither a lost network nor a killed server loses it
//! (docs/contract/events.md#missed-events).

mod entry;
mod log;
mod personal;
mod pid;
mod store;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::time::timeout;
use uuid::Uuid;

pub use self::personal::Personal;
use self::{
    entry::{Entry, Leaving},
    log::Log,
    store::Comer,
};
pub(super) use self::{
    pid::{Pid, Session},
    store::{SessionRoom, Taken},
};
use crate::{
    auth::Identity,
    batch::Batches,
    clock::{Clock, Timestamp},
    db::{self, Absence, Db, Missed, Reach, Tx},
    error::Result,
    event::Namespace,
    id::Id,
    room::Room,
    stream::Stream,
    tasks::Tasks,
};

/// Gives up what was over of sessions before then, as the events of that time are.
///
/// # Errors
/// The store's.
pub async fn prune_past(db: &Db, before: Timestamp) -> Result<()> {
    let prune = async move |tx: &mut Tx<'_>| Ok(store::past::prune(tx, before).await?);
    while db.write(prune).await? {
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Who comes back is served together with so many others, at most.
const COMERS: usize = 100;

/// Batches of sessions that are taken at a time: two, so that one is carried out while another is committed.
const TAKES: usize = 2;

/// Batches of what was missed that are read at a time.
const READS: usize = 2;

/// How long it is waited until this server has sent what the client has heard elsewhere.
const PATIENCE: Duration = Duration::from_secs(2);

/// Who may enter a room that they were in before.
pub trait Rights: Send + Sync {
    /// Whether somebody still may.
    ///
    /// # Errors
    /// The store's.
    fn may_enter<'a>(
        &'a self,
        identity: &'a Identity,
        room: &'a Room,
    ) -> BoxFuture<'a, Result<bool>>;
}

/// What was missed, by stream.
pub(super) type MissedOf = Vec<(Stream, Arc<Missed>)>;

/// Keeps sessions. Cheap to clone.
#[derive(Clone)]
pub struct Recovery {
    db: Db,
    log: Log,
    takes: Batches<Comer, Option<Taken>>,
    absences: Batches<Absence, Option<MissedOf>>,
}

impl Recovery {
    /// Keeps them in this store.
    #[must_use]
    pub fn start(db: Db, clock: Clock, tasks: &Tasks) -> Self {
        let log = Log::start(db.clone(), clock, tasks);
        let store = db.clone();
        let takes = Batches::new("sessions", (COMERS, TAKES), tasks, move |comers| {
            take(store.clone(), comers)
        });
        let store = db.clone();
        let absences = Batches::new("missed", (COMERS, READS), tasks, move |all| {
            let (store, per_stream) = (store.clone(), store.events_per_stream());
            let read = async move |tx: &mut Tx<'_>| Ok(db::missed_by(tx, &all, per_stream).await?);
            async move { store.read(read).await }
        });
        Self { db, log, takes, absences }
    }

    pub(super) fn db(&self) -> &Db {
        &self.db
    }

    /// A session has begun.
    pub(super) fn began(&self, session: Session, socket: Uuid, user: Id, namespace: Namespace) {
        let (key, began) = (session.pid.key(), self.db.reach());
        self.log.note(Entry::Began { key, socket, user, namespace, began });
    }

    /// It is in a room, whose events up to here it has not missed.
    pub(super) fn joined(&self, session: Session, room: Room, joined: Reach) {
        let (key, entered) = (session.pid.key(), self.db.reach());
        self.log.note(Entry::Joined { key, room, entered, joined, caught_up: false });
    }

    /// A replay sends it what came to a room up to then; up to anything, as long as that is not known.
    pub(super) fn caught_up(&self, session: Session, room: Room, upto: Option<Reach>) {
        let joined = upto.unwrap_or_else(|| Reach::upto(i64::MAX));
        let (key, entered) = (session.pid.key(), self.db.reach());
        self.log.note(Entry::Joined { key, room, entered, joined, caught_up: true });
    }

    /// What was noted of a room that it stays in is not so any more.
    pub(super) fn settled(&self, session: Session, room: Room) {
        self.log.note(Entry::Left { key: session.pid.key(), room, leaving: None });
    }

    /// It is not in a room any more.
    pub(super) fn left(&self, session: Session, room: Room, reason: &'static str) {
        let leaving = Some(self.leaving(reason));
        self.log.note(Entry::Left { key: session.pid.key(), room, leaving });
    }

    /// It was sent what came to a room after a number up to another.
    pub(super) fn replayed(&self, session: Session, room: Room, since: i64, upto: i64) {
        self.log.note(Entry::Replayed { key: session.pid.key(), room, since, upto });
    }

    /// It was sent what it had missed up to here.
    pub(super) fn restored(&self, session: Session, restored: Reach) {
        let Session { pid, generation } = session;
        self.log.note(Entry::Restored { key: pid.key(), generation, restored });
    }

    /// Its connection has ended, and its client may come back.
    pub(super) fn ended(&self, session: Session, reason: &'static str) {
        let (Session { pid, generation }, leaving) = (session, self.leaving(reason));
        self.log.note(Entry::Ended { key: pid.key(), generation, leaving });
    }

    /// Its client does not come back, or may not.
    pub(super) fn forgotten(&self, session: Session, reason: &'static str) {
        let (Session { pid, generation }, leaving) = (session, self.leaving(reason));
        self.log.note(Entry::Forgotten { key: pid.key(), generation, leaving });
    }

    fn leaving(&self, reason: &'static str) -> Leaving {
        Leaving { after: self.db.reach(), reason }
    }

    /// Waits until all that was said so far is kept.
    ///
    /// # Errors
    /// [`Unavailable`](crate::error::Code::Unavailable) when it is not.
    pub(super) async fn kept(&self) -> Result<()> {
        self.log.written().await
    }

    /// Takes the session of who comes back, unless it is another's or over; from now on nobody else has
    /// it.
    pub(super) async fn take(
        &self,
        pid: Pid,
        user: &Id,
        namespace: Namespace,
        heard: Option<&Reach>,
    ) -> Result<Option<Taken>> {
        self.log.written().await?;
        let (key, user, after) = (pid.key(), user.clone(), self.db.reach());
        self.takes.ask(Comer { key, user, namespace, heard: heard.cloned(), after }).await
    }

    /// What somebody missed; none where that is too much, or not all of it is kept any more.
    pub(super) async fn missed(&self, absence: Absence) -> Result<Option<MissedOf>> {
        self.absences.ask(absence).await
    }

    /// Waits until all has been sent here that a client has heard; whether it has.
    pub(super) async fn covers(&self, offset: &Reach) -> bool {
        let mut reached = self.db.reached();
        timeout(PATIENCE, reached.wait_for(|reach| reach.covers(offset)))
            .await
            .is_ok_and(|it| it.is_ok())
    }
}

/// Takes the sessions of those who come. Of several who come to one with the same right the last has it: a
/// client comes again when it has given up how it came before.
async fn take(db: Db, comers: Vec<Comer>) -> Result<Vec<Option<Taken>>> {
    let node = db.process();
    let unit = async move |tx: &mut Tx<'_>| {
        let right = |comer: &Comer| (comer.key, comer.user.clone(), comer.namespace);
        let last: HashMap<_, usize> = comers.iter().map(right).zip(0..).collect();
        let mut left: Vec<usize> = last.into_values().collect();
        let mut taken: Vec<_> = comers.iter().map(|_| None).collect();
        while !left.is_empty() {
            let mut keys = HashSet::new();
            let (now, later): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|at| keys.insert(comers[*at].key));
            let some: Vec<_> = now.iter().map(|at| comers[*at].clone()).collect();
            for (at, session) in now.into_iter().zip(store::take(tx, node, &some).await?) {
                taken[at] = session;
            }
            left = later;
        }
        Ok(taken)
    };
    db.write(unit).await
}
