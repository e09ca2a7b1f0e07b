//! The registry: user ↔ connections. It holds the ids of connections, never a count, so that
//! whatever is reported twice or too late changes nothing.

use std::{sync::Arc, time::Duration};

use dashmap::DashMap;
use serde::Serialize;
use smallvec::SmallVec;
use tokio::time::Instant;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    announcer::{Announcer, Change},
    events::UserStatus,
};
use crate::{
    clock::{Clock, Timestamp},
    config::PresenceConfig,
    id::Id,
    realtime::{Connection, Emitter, Observer},
    room::Room,
};

/// For how long it is known when somebody was here last.
const REMEMBERED: Duration = Duration::from_hours(24);

/// Who is here. Cheap to clone.
#[derive(Clone)]
pub struct Presence {
    registry: Arc<Registry>,
    announcer: Arc<Announcer>,
}

pub(super) struct Registry {
    users: DashMap<Id, User>,
    clock: Clock,
    grace: Duration,
}

struct User {
    connections: SmallVec<[Uuid; 1]>,
    /// When the status last changed.
    changed: Timestamp,
    /// Since when nobody is here.
    away_since: Option<Instant>,
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

impl Presence {
    /// Starts the task that announces changes; it ends with the last clone.
    #[must_use]
    pub fn start(config: &PresenceConfig, emitter: Emitter, clock: Clock) -> Self {
        let registry = Arc::new(Registry { users: DashMap::new(), clock, grace: config.grace });
        let announcer = Announcer::start(registry.clone(), emitter, config.window);
        Self { registry, announcer }
    }

    /// How a user stands.
    #[must_use]
    pub fn status(&self, user: &Id) -> Status {
        let known = self.registry.users.get(user);
        let connections = known.as_ref().map_or(0, |known| known.connections.len());
        Status {
            user_id: user.clone(),
            status: status(connections),
            last_seen: known.map(|known| known.changed),
            connections,
        }
    }

    /// Has the user's status announced to the marketplace dialect, though it has not changed.
    pub(super) fn announce_again(&self, user: &Id) {
        self.announcer.again(user.clone());
    }
}

const fn status(connections: usize) -> UserStatus {
    if connections == 0 { UserStatus::Offline } else { UserStatus::Online }
}

impl Registry {
    /// What others are to be told of a user now, if anything; and when to look again, if their
    /// absence is too young to be told.
    pub(super) fn settle(&self, user: &Id) -> Settled {
        let Some(mut known) = self.users.get_mut(user) else { return Settled::Unchanged };
        let now = status(known.connections.len());
        if now == known.told {
            return Settled::Unchanged;
        }
        if let Some(since) = known.away_since {
            let due = since + self.grace;
            if due > Instant::now() {
                return Settled::Later(due);
            }
        }
        known.told = now;
        Settled::Changed(Change { user: user.clone(), status: now, at: known.changed })
    }

    /// The user's status as it is, for an announcement that was asked for.
    pub(super) fn current(&self, user: &Id) -> Option<Change> {
        let known = self.users.get(user)?;
        let status = status(known.connections.len());
        Some(Change { user: user.clone(), status, at: known.changed })
    }

    /// Forgets who has been away for a day.
    pub(super) fn forget_the_long_gone(&self) {
        let gone = |since: Instant| since.elapsed() > REMEMBERED;
        self.users.retain(|_, user| {
            user.told == UserStatus::Online || !user.away_since.is_some_and(gone)
        });
    }
}

/// What became of a possible change.
pub(super) enum Settled {
    Unchanged,
    Later(Instant),
    Changed(Change),
}

impl Observer for Presence {
    fn arrived(&self, connection: &Connection, user: &Id) {
        let mut known = self.registry.users.entry(user.clone()).or_insert_with(|| User {
            connections: SmallVec::new(),
            changed: self.registry.clock.now(),
            away_since: None,
            told: UserStatus::Offline,
        });
        if known.connections.contains(&connection.id()) {
            return;
        }
        known.connections.push(connection.id());
        if known.connections.len() == 1 {
            known.changed = self.registry.clock.now();
            known.away_since = None;
            drop(known);
            self.announcer.look_soon(user.clone());
        }
    }

    fn left(&self, connection: &Connection, _: &[Room]) {
        let Some(user) = connection.user_id() else { return };
        let Some(mut known) = self.registry.users.get_mut(&user) else { return };
        let Some(at) = known.connections.iter().position(|id| *id == connection.id()) else {
            return;
        };
        known.connections.swap_remove(at);
        if known.connections.is_empty() {
            known.changed = self.registry.clock.now();
            known.away_since = Some(Instant::now());
            drop(known);
            self.announcer.look_at(user, Instant::now() + self.registry.grace);
        }
    }
}
