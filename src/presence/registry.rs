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
    announcer::{Announcer, Audience, Change},
    contacts::Contacts,
    events::UserStatus,
};
use crate::{
    auth::Identity,
    clock::{Clock, Timestamp},
    config::{PresenceAudience, PresenceConfig},
    error::Result,
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
    pub fn start(
        config: &PresenceConfig,
        emitter: Emitter,
        clock: Clock,
        contacts: Arc<dyn Contacts>,
    ) -> Self {
        let audience = match config.audience {
            PresenceAudience::Everyone => Audience::Everyone,
            PresenceAudience::Contacts => Audience::Contacts(contacts),
            PresenceAudience::Off => Audience::Nobody,
        };
        let registry = Arc::new(Registry { users: DashMap::new(), clock, grace: config.grace });
        let announcer = Announcer::start(registry.clone(), emitter, config.window, audience);
        Self { registry, announcer }
    }

    /// How users stand, as far as the caller may know: where contacts are told, anybody else is to
    /// them as one who was never here.
    ///
    /// # Errors
    /// [`Code::Unavailable`](crate::error::Code::Unavailable) while the store that knows contacts is
    /// away.
    pub(super) async fn statuses(&self, caller: &Identity, users: &[Id]) -> Result<Vec<Status>> {
        let own = &caller.user_id;
        let shown = match self.announcer.audience() {
            // Asked for all of them, so that a stranger who is here takes the same time as nobody.
            Audience::Contacts(contacts) if !caller.operates() => {
                Some(contacts.among(own, users).await?)
            }
            _ => None,
        };
        let is_shown =
            |user: &Id| user == own || shown.as_ref().is_none_or(|shown| shown.contains(user));
        let status = |user| if is_shown(user) { self.status(user) } else { Status::unknown(user) };
        Ok(users.iter().map(status).collect())
    }

    /// Whether a connection of a user's is open.
    #[must_use]
    pub fn is_online(&self, user: &Id) -> bool {
        self.registry.is_here(user)
    }

    /// How a user stands.
    fn status(&self, user: &Id) -> Status {
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

impl Status {
    /// Of a user who was never here.
    fn unknown(user: &Id) -> Self {
        let user_id = user.clone();
        Self { user_id, status: UserStatus::Offline, last_seen: None, connections: 0 }
    }
}

const fn status(connections: usize) -> UserStatus {
    if connections == 0 { UserStatus::Offline } else { UserStatus::Online }
}

impl Registry {
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

impl User {
    /// What others do not know yet of this user, whose id is `id`.
    fn news(&self, id: &Id, grace: Duration) -> Settled {
        let now = status(self.connections.len());
        if now == self.told {
            return Settled::Unchanged;
        }
        let due = self.away_since.map(|since| since + grace);
        match due.filter(|due| *due > Instant::now()) {
            Some(due) => Settled::Later(due),
            None => Settled::Changed(Change { user: id.clone(), status: now, at: self.changed }),
        }
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
