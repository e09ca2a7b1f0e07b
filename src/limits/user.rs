//! How many connections one user holds, whatever carries them and wherever they come from.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use dashmap::{DashMap, Entry};

use crate::{config::LimitsConfig, id::Id};

/// Counts the connections of each user. Cheap to clone.
#[derive(Clone, Debug)]
pub struct UserLimits(Option<Arc<Users>>);

#[derive(Debug)]
struct Users {
    /// By a hash that nobody can foresee: users are many, and their ids long.
    counts: DashMap<u64, u32>,
    hasher: RandomState,
    most: u32,
}

impl UserLimits {
    /// The limit as configured; none when limits are off.
    #[must_use]
    pub fn new(config: &LimitsConfig) -> Self {
        let users = || Users {
            counts: DashMap::new(),
            hasher: RandomState::new(),
            most: config.connections_per_user,
        };
        Self(config.enabled.then(|| Arc::new(users())))
    }

    /// Counts a new connection of a user; false when the user has as many as may be. Each that was
    /// counted is given back with [`UserLimits::release`].
    #[must_use]
    pub fn admit(&self, user: &Id) -> bool {
        let Some(users) = &self.0 else { return true };
        let mut count = users.counts.entry(users.hasher.hash_one(user)).or_default();
        let admitted = *count < users.most;
        *count += u32::from(admitted);
        admitted
    }

    /// One of a user's connections has ended.
    pub fn release(&self, user: &Id) {
        let Some(users) = &self.0 else { return };
        if let Entry::Occupied(mut count) = users.counts.entry(users.hasher.hash_one(user)) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_user_holds_their_share_and_nothing_is_kept_of_one_who_left() {
        let mut config = Config::for_tests().limits;
        config.connections_per_user = 2;
        let limits = UserLimits::new(&config);
        let [alice, bob]: [Id; 2] = ["alice", "bob"].map(|id| id.parse().unwrap());
        assert!(limits.admit(&alice) && limits.admit(&alice));
        assert!(!limits.admit(&alice), "two are held");
        assert!(limits.admit(&bob));
        limits.release(&alice);
        assert!(limits.admit(&alice));
        for user in [&alice, &alice, &bob] {
            limits.release(user);
        }
        assert!(limits.0.unwrap().counts.is_empty());
    }
}
