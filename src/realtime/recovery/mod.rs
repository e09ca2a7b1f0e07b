//! Sessions that last: what a client that comes back finds again is kept while it is connected, so that
//! neither a lost network nor a killed server loses it
//! (docs/contract/events.md#missed-events).

mod log;
mod store;

use std::{num::NonZeroU32, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::BoxFuture;
use sha2::{Digest, Sha256};
use tokio::time::timeout;
use uuid::Uuid;

use self::log::{Entry, Log};
pub(super) use self::store::{SessionRoom, Taken};
use crate::{
    auth::Identity,
    clock::Clock,
    db::{Db, Reach},
    error::Result,
    event::Namespace,
    id::Id,
    room::Room,
    tasks::Tasks,
};

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

/// The secret id of a session, which its client shows when it comes back. It is not logged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Pid([u8; 16]);

/// What the store knows a session by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 16]);

/// A session as its connection knows it. Whoever takes it is of the next generation.
#[derive(Clone, Copy)]
pub(super) struct Session {
    pub(super) pid: Pid,
    pub(super) generation: NonZeroU32,
}

impl Session {
    /// A new one.
    pub(super) fn new() -> Self {
        Self { pid: Pid(rand::random()), generation: NonZeroU32::MIN }
    }
}

impl Pid {
    /// As a client shows it.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        (length == bytes.len()).then_some(Self(bytes))
    }

    /// As a client is told it.
    pub(super) fn text(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// So that who reads the store can take nobody's session.
    fn key(self) -> Key {
        let mut key = [0; 16];
        key.copy_from_slice(&Sha256::digest(self.0)[..16]);
        Key(key)
    }
}

/// Keeps sessions. Cheap to clone.
#[derive(Clone)]
pub struct Recovery {
    db: Db,
    log: Log,
}

impl Recovery {
    /// Keeps them in this store.
    #[must_use]
    pub fn start(db: Db, clock: Clock, tasks: &Tasks) -> Self {
        let log = Log::start(db.clone(), clock, tasks);
        Self { db, log }
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
        self.log.note(Entry::Joined { key: session.pid.key(), room, joined, caught_up: false });
    }

    /// A replay sends it what came to a room up to then; up to anything, as long as that is not known.
    pub(super) fn caught_up(&self, session: Session, room: Room, upto: Option<Reach>) {
        let joined = upto.unwrap_or_else(|| Reach::upto(i64::MAX));
        self.log.note(Entry::Joined { key: session.pid.key(), room, joined, caught_up: true });
    }

    /// It is not in a room any more.
    pub(super) fn left(&self, session: Session, room: Room) {
        self.log.note(Entry::Left { key: session.pid.key(), room });
    }

    /// Its connection has ended, and its client may come back.
    pub(super) fn ended(&self, session: Session) {
        let Session { pid, generation } = session;
        self.log.note(Entry::Ended { key: pid.key(), generation });
    }

    /// Its client does not come back, or may not.
    pub(super) fn forgotten(&self, session: Session) {
        self.log.note(Entry::Forgotten { key: session.pid.key() });
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
    ) -> Result<Option<Taken>> {
        self.log.written().await?;
        let (key, user) = (pid.key(), user.clone());
        self.db.write(async move |tx| Ok(store::take(tx, key, &user, namespace).await?)).await
    }

    /// Waits until all has been sent here that a client has heard; whether it has.
    pub(super) async fn covers(&self, offset: &Reach) -> bool {
        let mut reached = self.db.reached();
        timeout(PATIENCE, reached.wait_for(|reach| reach.covers(offset)))
            .await
            .is_ok_and(|it| it.is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_reads_back_and_is_not_what_the_store_has() {
        let pid = Session::new().pid;
        assert!(Pid::read(&pid.text()) == Some(pid));
        assert_eq!(pid.text().len(), 22);
        assert!(pid.key().0 != pid.0);
        for bad in ["", "short", &"x".repeat(23), "59gpW0_jXUJ4pYBGAAA=", "59gpW0/jXUJ4pYBGAAAAAA"]
        {
            assert!(Pid::read(bad).is_none(), "{bad}");
        }
    }
}
