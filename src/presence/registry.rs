//! The registry: user ↔ connections. It holds the ids of connections, never a count, so that
//! whatever is reported twice or too late changes nothing.

use std::time::Duration;

use dashmap::DashMap;
use serde::Serialize;
use smallvec::SmallVec;
use tokio::time::Instant;
use utoipa::ToSchema;
use uuid::Uuid;

use super::events::UserStatus;
use crate::{
    clock::{Clock, Timestamp},
    id::Id,
};

/// For how long it is known when somebody was here last.
const REMEMBERED: Duration = Duration::from_hours(24);

pub(super) struct Registry {
    users: DashMap<Id, User>,
    clock: Clock,
    grace: Duration,
}

struct User {
    connections: SmallVec<[Uuid; 1]>,
    /// When the status last changed.
    changed: Timestamp,
    /// The same, for those who hear of what happened since they came.
    changed_at: Instant,
    /// What others were told last.
    told: UserStatus,
}

/// How a user stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The user.
    pub user_id: Id,
    /// Whether a connection of theirs is open.
    pub status: UserStatus,
    /// When that last changed; null when this server does not remember.
    #[schema(required = true)]
    pub last_seen: Option<Timestamp>,
    /// Their open connections on this node.
    pub connections: usize,
}

impl Status {
    /// Of a user who was never here.
    pub(super) fn unknown(user: &Id) -> Self {
        let user_id = user.clone();
        Self { user_id, status: UserStatus::Offline, last_seen: None, connections: 0 }
    }
}

const fn status(connections: usize) -> UserStatus {
    if connections == 0 { UserStatus::Offline } else { UserStatus::Online }
}

impl Registry {
    /// Nobody is here. Who goes is away for so long before others are told.
    pub(super) fn new(clock: Clock, grace: Duration) -> Self {
        Self { users: DashMap::new(), clock, grace }
    }

    /// A connection of a user's is open; whether it is the first.
    pub(super) fn arrive(&self, user: &Id, connection: Uuid) -> bool {
        let mut known = self.users.entry(user.clone()).or_insert_with(|| User {
            connections: SmallVec::new(),
            changed: self.clock.now(),
            changed_at: Instant::now(),
            told: UserStatus::Offline,
        });
        if known.connections.contains(&connection) {
            return false;
        }
        known.connections.push(connection);
        let is_first = known.connections.len() == 1;
        if is_first {
            known.changed = self.clock.now();
            known.changed_at = Instant::now();
        }
        is_first
    }

    /// A connection of a user's has ended; from when on others are told, if it was the last.
    pub(super) fn leave(&self, user: &Id, connection: Uuid) -> Option<Instant> {
        let mut known = self.users.get_mut(user)?;
        let at = known.connections.iter().position(|id| *id == connection)?;
        known.connections.swap_remove(at);
        if !known.connections.is_empty() {
            return None;
        }
        known.changed = self.clock.now();
        known.changed_at = Instant::now();
        Some(known.changed_at + self.grace)
    }

    /// How a user stands.
    pub(super) fn status(&self, user: &Id) -> Status {
        let known = self.users.get(user);
        let connections = known.as_ref().map_or(0, |known| known.connections.len());
        Status {
            user_id: user.clone(),
            status: status(connections),
            last_seen: known.map(|known| known.changed),
            connections,
        }
    }

    /// Whether a connection of a user's is open.
    pub(super) fn is_here(&self, user: &Id) -> bool {
        self.users.get(user).is_some_and(|known| !known.connections.is_empty())
    }

    /// What others are to be told of a user now, if anything; and when to look again, if their
    /// absence is too young to be told.
    pub(super) fn look(&self, user: &Id) -> Settled {
        let known = self.users.get(user);
        known.map_or(Settled::Unchanged, |known| known.news(user, self.grace))
    }

    /// The same, and from now on it counts as told.
    pub(super) fn settle(&self, user: &Id) -> Settled {
        let Some(mut known) = self.users.get_mut(user) else { return Settled::Unchanged };
        let news = known.news(user, self.grace);
        if let Settled::Changed(change) = &news {
            known.told = change.status;
        }
        news
    }

    /// The user's status as it is, for an announcement that was asked for.
    pub(super) fn current(&self, user: &Id) -> Option<Change> {
        self.users.get(user).map(|known| known.change(user))
    }

    /// Forgets who has been away for a day.
    pub(super) fn forget_the_long_gone(&self) {
        let gone = |since: Instant| since.elapsed() > REMEMBERED;
        self.users.retain(|_, user| {
            user.told == UserStatus::Online || !user.away_since().is_some_and(gone)
        });
    }
}

impl User {
    /// Since when nobody is here.
    fn away_since(&self) -> Option<Instant> {
        self.connections.is_empty().then_some(self.changed_at)
    }

    /// The status as it is, of the user whose id is `id`.
    fn change(&self, id: &Id) -> Change {
        let status = status(self.connections.len());
        Change { user: id.clone(), status, last_seen: self.changed, at: self.changed_at }
    }

    /// What others do not know yet of this user, whose id is `id`.
    fn news(&self, id: &Id, grace: Duration) -> Settled {
        let now = status(self.connections.len());
        if now == self.told {
            return Settled::Unchanged;
        }
        let due = self.away_since().map(|since| since + grace);
        match due.filter(|due| *due > Instant::now()) {
            Some(due) => Settled::Later(due),
            None => Settled::Changed(self.change(id)),
        }
    }
}

/// A user's status, and since when.
pub(super) struct Change {
    pub(super) user: Id,
    pub(super) status: UserStatus,
    pub(super) last_seen: Timestamp,
    pub(super) at: Instant,
}

/// What became of a possible change.
pub(super) enum Settled {
    Unchanged,
    Later(Instant),
    Changed(Change),
}
