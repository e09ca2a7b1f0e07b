//! Announces changes of presence: gathered for a moment, the latest state of each user, in one
//! pass. A thousand users who come at once cost every socket one write, not a thousand; a user
//! whose state ended where it began is not spoken of.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{
    events::{UserOffline, UserOnline, UserStatus, UserStatusChange},
    registry::{Registry, Settled},
};
use crate::{
    clock::Timestamp,
    event::{Dialect, ServerEvent},
    id::Id,
    metrics,
    realtime::{Bundle, Emitter, Outgoing, Part},
};

/// How often the long gone are forgotten.
const FORGET_EVERY: Duration = Duration::from_mins(10);

/// Users told of in one bundle.
const MOST_AT_ONCE: usize = 1000;

pub(super) struct Announcer {
    due: Mutex<Due>,
    wake: Notify,
    window: Duration,
}

#[derive(Default)]
struct Due {
    /// Users to look at, by when.
    looks: BTreeMap<Instant, Vec<Id>>,
    /// Users who asked to be announced again.
    again: HashSet<Id>,
}

/// A user's status, and since when.
pub(super) struct Change {
    pub(super) user: Id,
    pub(super) status: UserStatus,
    pub(super) at: Timestamp,
}

impl Announcer {
    pub(super) fn start(registry: Arc<Registry>, emitter: Emitter, window: Duration) -> Arc<Self> {
        let announcer = Arc::new(Self { due: Mutex::default(), wake: Notify::new(), window });
        tokio::spawn(run(Arc::downgrade(&announcer), registry, emitter, window));
        announcer
    }

    fn lock(&self) -> MutexGuard<'_, Due> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at a user at the end of the current window.
    pub(super) fn look_soon(&self, user: Id) {
        self.look_at(user, Instant::now() + self.window);
    }

    /// Looks at a user then.
    pub(super) fn look_at(&self, user: Id, at: Instant) {
        self.lock().looks.entry(at).or_default().push(user);
        self.wake.notify_one();
    }

    /// Announces a user's status to the marketplace dialect, changed or not.
    pub(super) fn again(&self, user: Id) {
        let at = Instant::now() + self.window;
        let mut due = self.lock();
        due.again.insert(user);
        due.looks.entry(at).or_default();
        drop(due);
        self.wake.notify_one();
    }

    /// The users whose time has come.
    fn take_due(&self) -> (Vec<Id>, HashSet<Id>) {
        let mut due = self.lock();
        let later = due.looks.split_off(&Instant::now());
        let looks = std::mem::replace(&mut due.looks, later);
        if looks.is_empty() {
            return (Vec::new(), HashSet::new());
        }
        (looks.into_values().flatten().collect(), std::mem::take(&mut due.again))
    }

    fn next(&self) -> Option<Instant> {
        self.lock().looks.first_key_value().map(|(at, _)| *at)
    }

    fn announce(&self, registry: &Registry, emitter: &Emitter) {
        let (looks, mut again) = self.take_due();
        let looks: HashSet<Id> = looks.into_iter().collect();
        let mut parts = Vec::new();
        for user in looks {
            match registry.settle(&user) {
                Settled::Unchanged => {}
                Settled::Later(at) => self.look_at(user, at),
                Settled::Changed(change) => {
                    // It is told anyhow.
                    again.remove(&user);
                    tell(&change, &mut parts);
                }
            }
        }
        parts.extend(again.iter().filter_map(|user| registry.current(user)).map(status_change));
        let mut parts = parts.into_iter().peekable();
        while parts.peek().is_some() {
            emitter.emit_bundle(Bundle::new(parts.by_ref().take(MOST_AT_ONCE).collect()));
        }
    }
}

async fn run(
    announcer: Weak<Announcer>,
    registry: Arc<Registry>,
    emitter: Emitter,
    window: Duration,
) {
    let mut forget_at = Instant::now() + FORGET_EVERY;
    loop {
        let Some(this) = announcer.upgrade() else { return };
        let next = this.next().unwrap_or(forget_at).min(forget_at);
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = this.wake.notified() => continue,
        }
        this.announce(&registry, &emitter);
        if Instant::now() >= forget_at {
            registry.forget_the_long_gone();
            forget_at = Instant::now() + FORGET_EVERY;
        }
        drop(this);
        // Whoever comes meanwhile is told of together.
        tokio::time::sleep(window).await;
    }
}

/// A change in both dialects.
fn tell(change: &Change, parts: &mut Vec<Part>) {
    let user_id = change.user.clone();
    let except = Some(change.user.clone());
    let conversation = match change.status {
        UserStatus::Online => part(&UserOnline { user_id }, except),
        UserStatus::Offline => part(&UserOffline { user_id }, except),
    };
    let to = match change.status {
        UserStatus::Online => "online",
        UserStatus::Offline => "offline",
    };
    metrics::presence_transitions(to).increment(1);
    parts.push(conversation);
    let Change { user, status, at } = change;
    parts.push(status_change(Change { user: user.clone(), status: *status, at: *at }));
}

fn status_change(change: Change) -> Part {
    let Change { user: user_id, status, at: last_seen } = change;
    part(&UserStatusChange { user_id, status, last_seen }, None)
}

fn part<E: ServerEvent>(event: &E, except: Option<Id>) -> Part {
    let dialect: Dialect = E::EVENT.dialect;
    Part { event: Outgoing::of(event), namespaces: dialect.namespaces(), except }
}
