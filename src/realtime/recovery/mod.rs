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

use std::{collections::HashSet, sync::Arc, time::Duration};

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
    absences: Batches<(Session, Absence), Option<MissedOf>>,
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
        let absences = Batches::new("missed", (COMERS, READS), tasks, move |asked| {
            missed(store.clone(), asked)
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
        self.note_joined(session, room, joined, false);
    }

    /// A replay sends it what came to a room up to then; up to anything, as long as that is not known.
    pub(super) fn caught_up(&self, session: Session, room: Room, upto: Option<Reach>) {
        let joined = upto.unwrap_or_else(|| Reach::upto(i64::MAX));
        self.note_joined(session, room, joined, true);
    }

    fn note_joined(&self, session: Session, room: Room, joined: Reach, caught_up: bool) {
        let (Session { pid, generation }, entered) = (session, self.db.reach());
        let key = pid.key();
        self.log.note(Entry::Joined { key, generation, room, entered, joined, caught_up });
    }

    /// What was noted of a room that it stays in is not so any more.
    pub(super) fn settled(&self, session: Session, room: Room) {
        let Session { pid, generation } = session;
        self.log.note(Entry::Left { key: pid.key(), generation, room, leaving: None });
    }

    /// It is not in a room any more.
    pub(super) fn left(&self, session: Session, room: Room, reason: &'static str) {
        let (Session { pid, generation }, leaving) = (session, Some(self.leaving(reason)));
        self.log.note(Entry::Left { key: pid.key(), generation, room, leaving });
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

    /// What was missed by who has a session; none where that is too much, or not all of it is kept any
    /// more, or another has taken the session since.
    pub(super) async fn missed(
        &self,
        session: Session,
        absence: Absence,
    ) -> Result<Option<MissedOf>> {
        self.absences.ask((session, absence)).await
    }

    /// Waits until all has been sent here that a client has heard; whether it has.
    pub(super) async fn covers(&self, offset: &Reach) -> bool {
        let mut reached = self.db.reached();
        timeout(PATIENCE, reached.wait_for(|reach| reach.covers(offset)))
            .await
            .is_ok_and(|it| it.is_ok())
    }
}

/// Takes the sessions of those who come; where several come to one, one after the other has it.
async fn take(db: Db, comers: Vec<Comer>) -> Result<Vec<Option<Taken>>> {
    let node = db.process();
    let unit = async move |tx: &mut Tx<'_>| {
        let (mut taken, mut left) = (Vec::with_capacity(comers.len()), comers.as_slice());
        while !left.is_empty() {
            let mut keys = HashSet::new();
            let alone = left.iter().take_while(|comer| keys.insert(comer.key)).count();
            let (now, later) = left.split_at(alone);
            taken.extend(store::take(tx, node, now).await?);
            left = later;
        }
        Ok(taken)
    };
    db.write(unit).await
}

/// What each missed who has a session; none also where another has taken it since: whoever does so after
/// this finds who has it now.
async fn missed(db: Db, asked: Vec<(Session, Absence)>) -> Result<Vec<Option<MissedOf>>> {
    let per_stream = db.events_per_stream();
    let read = async move |tx: &mut Tx<'_>| {
        let (sessions, absences): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
        let generations = store::generations(tx, &sessions).await?;
        let has_it =
            |session: &Session| generations.get(&session.pid.key()) == Some(&session.generation);
        let missed = db::missed_by(tx, &absences, per_stream).await?;
        let of_each = sessions.iter().zip(missed);
        Ok(of_each.map(|(session, missed)| missed.filter(|_| has_it(session))).collect())
    };
    db.read(read).await
}
