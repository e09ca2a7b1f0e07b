//! The registry: user ↔ connections. It holds the ids of connections, never a count, so that
//! whatever is reported twice or too late changes nothing. A node alone knows of a user's status by
//! their connections; where there are others, what is told to all of them counts.

use std::{collections::HashSet, time::Duration};

use dashmap::{DashMap, mapref::one::RefMut};
use parking_lot::Mutex;
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
    /// Whether other nodes have users, too.
    is_shared: bool,
    /// Of whom something was heard since who is online is compared.
    heard: Mutex<Option<HashSet<Id>>>,
}

struct User {
    /// On this node.
    connections: SmallVec<[Uuid; 1]>,
    /// On all nodes.
    status: UserStatus,
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
    /// Told while what other nodes know can't be asked: the status is the last that was heard of, or
    /// that of this node.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
}

impl Status {
    /// Of a user who was never here.
    pub(super) fn unknown(user: &Id) -> Self {
        let user_id = user.clone();
        Self {
            user_id,
            status: UserStatus::Offline,
            last_seen: None,
            connections: 0,
            partial: false,
        }
    }
}

impl Registry {
    /// Nobody is here. Who goes is away for so long before others are told; of users who are shared
    /// with other nodes it is heard when that is over.
    pub(super) fn new(clock: Clock, grace: Duration, is_shared: bool) -> Self {
        let grace = if is_shared { Duration::ZERO } else { grace };
        Self { users: DashMap::new(), clock, grace, is_shared, heard: Mutex::default() }
    }

    /// A connection of a user's is open; whether it is the first.
    pub(super) fn arrive(&self, user: &Id, connection: Uuid) -> bool {
        let mut known = self.entry(user);
        if known.connections.contains(&connection) {
            return false;
        }
        known.connections.push(connection);
        let is_first = known.connections.len() == 1;
        if is_first && !self.is_shared {
            known.turn(UserStatus::Online, self.clock.now());
        }
        is_first
    }

    fn entry(&self, user: &Id) -> RefMut<'_, Id, User> {
        self.users.entry(user.clone()).or_insert_with(|| User {
            connections: SmallVec::new(),
            status: UserStatus::Offline,
            changed: self.clock.now(),
            changed_at: Instant::now(),
            told: UserStatus::Offline,
        })
    }

    /// All nodes were told that a user came or went; whether that is news.
    pub(super) fn hear(&self, user: &Id, status: UserStatus, at: Timestamp) -> bool {
        // Also where it is no news: what is compared may be older.
        if let Some(heard) = &mut *self.heard.lock() {
            heard.insert(user.clone());
        }
        self.set(user, status, at)
    }

    fn set(&self, user: &Id, status: UserStatus, at: Timestamp) -> bool {
        let mut known = self.entry(user);
        let is_news = known.status != status;
        if is_news {
            known.turn(status, at);
        }
        is_news
    }

    /// Somebody asks who is told to be online, to compare it.
    pub(super) fn compare(&self) {
        *self.heard.lock() = Some(HashSet::new());
    }

    /// Takes over who was told to be online at some time since it was asked; who came and who went by that.
    /// Of whom something was heard since, that counts. Who is not among them has gone only where they
    /// are all there are, and not who is here.
    pub(super) fn take_over(&self, online: Vec<(Id, Timestamp)>, are_all: bool) -> Vec<Id> {
        // What is heard meanwhile comes after it.
        let mut comparing = self.heard.lock();
        let heard = comparing.take().unwrap_or_default();
        let mut news = Vec::new();
        let mut listed = HashSet::with_capacity(online.len());
        for (user, at) in online {
            if !heard.contains(&user) && self.set(&user, UserStatus::Online, at) {
                news.push(user.clone());
            }
            listed.insert(user);
        }
        if are_all {
            let now = self.clock.now();
            for mut known in self.users.iter_mut() {
                let (user, known) = known.pair_mut();
                let is_gone = known.status == UserStatus::Online
                    && known.connections.is_empty()
                    && !heard.contains(user)
                    && !listed.contains(user);
                if is_gone {
                    known.turn(UserStatus::Offline, now);
                    news.push(user.clone());
                }
            }
        }
        news
    }

    /// Everyone who has a connection on this node.
    pub(super) fn all_here(&self) -> Vec<Id> {
        let here = self.users.iter().filter(|known| !known.connections.is_empty());
        here.map(|known| known.key().clone()).collect()
    }

    /// A connection of a user's has ended; from when on others are told, if it was the last.
    pub(super) fn leave(&self, user: &Id, connection: Uuid) -> Option<Instant> {
        let mut known = self.users.get_mut(user)?;
        let at = known.connections.iter().position(|id| *id == connection)?;
        known.connections.swap_remove(at);
        if !known.connections.is_empty() {
            return None;
        }
        if !self.is_shared {
            known.turn(UserStatus::Offline, self.clock.now());
        }
        Some(known.changed_at + self.grace)
    }

    /// How a user stands.
    pub(super) fn status(&self, user: &Id) -> Status {
        let known = self.users.get(user);
        Status {
            user_id: user.clone(),
            status: known.as_ref().map_or(UserStatus::Offline, |known| known.seen()),
            connections: known.as_ref().map_or(0, |known| known.connections.len()),
            last_seen: known.map(|known| known.changed),
            partial: false,
        }
    }

    /// Whether a connection of a user's is open, on whichever node.
    pub(super) fn is_online(&self, user: &Id) -> bool {
        self.users.get(user).is_some_and(|known| known.seen() == UserStatus::Online)
    }

    /// Whether a connection of a user's is open on this node.
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
        self.users.get(user).map(|known| known.change(user, known.seen()))
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
        let is_away = self.connections.is_empty() && self.status == UserStatus::Offline;
        is_away.then_some(self.changed_at)
    }

    /// Who has a connection here is online, whether or not that has been told to all nodes.
    fn seen(&self) -> UserStatus {
        if self.connections.is_empty() { self.status } else { UserStatus::Online }
    }

    fn turn(&mut self, status: UserStatus, at: Timestamp) {
        (self.status, self.changed, self.changed_at) = (status, at, Instant::now());
    }

    /// That they have this status, of the user whose id is `id`.
    fn change(&self, id: &Id, status: UserStatus) -> Change {
        Change { user: id.clone(), status, last_seen: self.changed, at: self.changed_at }
    }

    /// What others do not know yet of this user, whose id is `id`.
    fn news(&self, id: &Id, grace: Duration) -> Settled {
        if self.status == self.told {
            return Settled::Unchanged;
        }
        let due = self.away_since().map(|since| since + grace);
        match due.filter(|due| *due > Instant::now()) {
            Some(due) => Settled::Later(due),
            None => Settled::Changed(self.change(id, self.status)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_heard_while_it_is_compared_counts() {
        let registry = Registry::new(Clock::system(), Duration::ZERO, true);
        let (user, at) = (Id::new("ann").unwrap(), Timestamp::from_millis(1_764_000_000_000));
        for (known, listed) in
            [(UserStatus::Online, vec![]), (UserStatus::Offline, vec![(user.clone(), at)])]
        {
            registry.hear(&user, known, at);
            registry.compare();
            // It was something else meanwhile, which was missed; the list is from then.
            assert!(!registry.hear(&user, known, at));
            assert!(registry.take_over(listed.clone(), true).is_empty());
            assert_eq!(registry.status(&user).status, known);
            // What was heard before does not.
            registry.compare();
            assert_eq!(registry.take_over(listed, true), std::slice::from_ref(&user));
        }
    }
}
