//! Presence as others ask of it, and what it hears of connections.

use std::sync::Arc;

use super::{
    announcer::{Announcer, Audience, Follower},
    contacts::Contacts,
    registry::{Registry, Status},
};
use crate::{
    auth::Identity,
    clock::Clock,
    config::{PresenceAudience, PresenceConfig},
    error::Result,
    id::Id,
    realtime::{Connection, Emitter, Observer},
    room::Room,
    tasks::Tasks,
};

/// Who is here. Cheap to clone.
#[derive(Clone)]
pub struct Presence {
    registry: Arc<Registry>,
    announcer: Arc<Announcer>,
}

impl Presence {
    /// Starts the task that announces changes; it ends with the last clone.
    #[must_use]
    pub fn start(
        config: &PresenceConfig,
        emitter: Emitter,
        clock: Clock,
        contacts: Arc<dyn Contacts>,
        follower: Option<Arc<dyn Follower>>,
        tasks: &Tasks,
    ) -> Self {
        let audience = match config.audience {
            PresenceAudience::Everyone => Audience::Everyone,
            PresenceAudience::Contacts => Audience::Contacts(contacts),
            PresenceAudience::Off => Audience::Nobody,
        };
        let registry = Arc::new(Registry::new(clock, config.grace));
        let users = registry.clone();
        let announcer = Announcer::start(users, emitter, config.window, audience, follower, tasks);
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
        let status =
            |user| if is_shown(user) { self.registry.status(user) } else { Status::unknown(user) };
        Ok(users.iter().map(status).collect())
    }

    /// Whether a connection of a user's is open.
    #[must_use]
    pub fn is_online(&self, user: &Id) -> bool {
        self.registry.is_here(user)
    }

    /// Has the user's status announced to the marketplace dialect, though it has not changed.
    pub(super) fn announce_again(&self, user: &Id) {
        self.announcer.again(user.clone());
    }
}

impl Observer for Presence {
    fn arrived(&self, connection: &Connection, user: &Id) {
        if self.registry.arrive(user, connection.id()) {
            self.announcer.look_soon(user.clone());
        }
    }

    fn left(&self, connection: &Connection, _: &[Room]) {
        let Some(user) = connection.user_id() else { return };
        if let Some(told_at) = self.registry.leave(&user, connection.id()) {
            self.announcer.look_at(user, told_at);
        }
    }
}
