//! Presence as others ask of it, and what it hears of connections.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::{
    announcer::{Announcer, Audience, Follower},
    contacts::Contacts,
    events::UserStatus,
    nodes::{self, Nodes},
    registry::{Registry, Status},
};
use crate::{
    auth::Identity,
    clock::Clock,
    cluster::{Change, Cluster},
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
    /// The other nodes, where there are some.
    nodes: Option<Arc<Nodes>>,
}

/// Has a user's status announced again, between nodes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Again {
    again: Id,
}

impl Presence {
    /// Starts the task that announces changes, which ends with the last clone, and the one that speaks
    /// with other nodes.
    #[must_use]
    pub fn start(
        config: &PresenceConfig,
        emitter: Emitter,
        clock: Clock,
        contacts: Arc<dyn Contacts>,
        follower: Option<Arc<dyn Follower>>,
        cluster: Option<Cluster>,
        tasks: &Tasks,
    ) -> Self {
        let audience = match config.audience {
            PresenceAudience::Everyone => Audience::Everyone,
            PresenceAudience::Contacts => Audience::Contacts(contacts),
            PresenceAudience::Off => Audience::Nobody,
        };
        let registry = Arc::new(Registry::new(clock, config.grace, cluster.is_some()));
        let users = registry.clone();
        let announcer = Announcer::start(users, emitter, config.window, audience, follower, tasks);
        let nodes = cluster.map(|cluster| Arc::new(Nodes::new(cluster, config.grace)));
        if let Some(nodes) = nodes.clone() {
            let (users, announcer) = (registry.clone(), announcer.clone());
            let keep = nodes::keep(nodes, users, announcer, tasks.stopping());
            tasks.spawn("presence over nodes", keep);
        }
        Self { registry, announcer, nodes }
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
        let partial = self.nodes.as_ref().is_some_and(|nodes| !*nodes.known().borrow());
        let status = |user| {
            let of =
                if is_shown(user) { self.registry.status(user) } else { Status::unknown(user) };
            Status { partial, ..of }
        };
        Ok(users.iter().map(status).collect())
    }

    /// Whether a connection of a user's is open, on whichever node.
    #[must_use]
    pub fn is_online(&self, user: &Id) -> bool {
        self.registry.is_online(user)
    }

    /// Waits until it is known who is on the other nodes.
    pub async fn known(&self) {
        if let Some(nodes) = &self.nodes {
            // It is told as long as there is somebody to ask.
            let _ = nodes.known().wait_for(|known| *known).await;
        }
    }

    /// Has the user's status announced to the marketplace dialect, though it has not changed.
    pub(super) fn announce_again(&self, user: &Id) {
        self.announcer.again(user.clone());
        if let Some(nodes) = &self.nodes
            && let Ok(again) = to_raw_value(&Again { again: user.clone() })
        {
            nodes.cluster().send(again);
        }
    }

    /// Takes what the presence of another node has sent; false when it is something else.
    #[must_use]
    pub fn hear(&self, item: &RawValue) -> bool {
        let again = serde_json::from_str::<Again>(item.get());
        let again = again.map(|Again { again }| again).ok();
        // Who is not known to have come is told when that is.
        if let Some(user) = again.clone().filter(|user| self.registry.is_online(user)) {
            self.announcer.again(user);
        }
        again.is_some()
    }

    /// Takes what was told to all nodes.
    pub fn changed(&self, changes: Vec<Change>) {
        for Change { user, is_online, at } in changes {
            let status = if is_online { UserStatus::Online } else { UserStatus::Offline };
            if self.registry.hear(&user, status, at) {
                self.announcer.look_soon(user);
            }
        }
    }
}

impl Observer for Presence {
    fn arrived(&self, connection: &Connection, user: &Id) {
        if self.registry.arrive(user, connection.id()) {
            match &self.nodes {
                None => self.announcer.look_soon(user.clone()),
                Some(nodes) => nodes.report(user.clone()),
            }
        }
    }

    fn left(&self, connection: &Connection, _: &[Room]) {
        let Some(user) = connection.user_id() else { return };
        if let Some(told_at) = self.registry.leave(&user, connection.id()) {
            match &self.nodes {
                None => self.announcer.look_at(user, told_at),
                Some(nodes) => nodes.report(user),
            }
        }
    }
}
