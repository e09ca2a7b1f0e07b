//! The ends of tokens: a socket is told before its token ends, and closed when it has.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::sync::Notify;
use uuid::Uuid;

use super::{connection::Connection, events::AuthExpiring, frame::Outgoing};
use crate::{
    auth::Identity,
    clock::{Clock, Timestamp},
};

/// The longest wait between two looks at the clock, which may be set.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Which connections' tokens end when.
pub(super) struct Expiries(Arc<Inner>);

struct Inner {
    due: Mutex<BTreeMap<(Timestamp, Step, Uuid), Weak<Connection>>>,
    earlier: Notify,
    clock: Clock,
    notice: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Tell,
    Close,
}

impl Expiries {
    /// Starts the task that looks after them; it ends with the value.
    pub(super) fn start(clock: Clock, notice: Duration) -> Self {
        let inner =
            Arc::new(Inner { due: Mutex::default(), earlier: Notify::new(), clock, notice });
        let weak = Arc::downgrade(&inner);
        tokio::spawn(async move {
            while let Some(inner) = weak.upgrade() {
                let wait = inner.act();
                // Not across the wait, or the task would keep itself alive.
                let notified = async {
                    inner.earlier.notified().await;
                };
                let _ = tokio::time::timeout(wait, notified).await;
            }
        });
        Self(inner)
    }

    /// Looks after a connection's token, when it ends at all.
    pub(super) fn watch(&self, connection: &Arc<Connection>, identity: &Identity) {
        let Some(expires_at) = identity.expires_at else { return };
        let mut due = self.0.lock();
        let first = due.first_key_value().map(|((at, ..), _)| *at);
        for key in self.0.keys(connection, expires_at) {
            due.insert(key, Arc::downgrade(connection));
        }
        if due.first_key_value().map(|((at, ..), _)| *at) != first {
            self.0.earlier.notify_one();
        }
    }

    /// No longer.
    pub(super) fn forget(&self, connection: &Connection, identity: &Identity) {
        let Some(expires_at) = identity.expires_at else { return };
        let mut due = self.0.lock();
        for key in self.0.keys(connection, expires_at) {
            due.remove(&key);
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Timestamp, Step, Uuid), Weak<Connection>>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keys(&self, connection: &Connection, expires_at: Timestamp) -> [(Timestamp, Step, Uuid); 2] {
        let notice = i64::try_from(self.notice.as_millis()).unwrap_or(i64::MAX);
        let tell_at = Timestamp::from_millis(expires_at.millis().saturating_sub(notice));
        [(tell_at, Step::Tell, connection.id()), (expires_at, Step::Close, connection.id())]
    }

    /// Does what is due; how long to wait for the next.
    fn act(&self) -> Duration {
        loop {
            let now = self.clock.now();
            let ((_, step, _), connection) = {
                let mut due = self.lock();
                match due.first_entry() {
                    Some(first) if first.key().0 <= now => first.remove_entry(),
                    Some(first) => return now.until(first.key().0).min(LOOK_AGAIN),
                    None => return LOOK_AGAIN,
                }
            };
            let Some(connection) = connection.upgrade() else { continue };
            match step {
                Step::Tell => {
                    let expires_at = connection.identity().and_then(|identity| identity.expires_at);
                    if let Some(expires_at) = expires_at {
                        connection.send(Outgoing::of(&AuthExpiring { expires_at }));
                    }
                }
                Step::Close => connection.expire(),
            }
        }
    }
}
