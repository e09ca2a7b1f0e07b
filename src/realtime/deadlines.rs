//! The ends of tokens: a socket is told before its token ends, and closed when it has ceased to hold,
//! which is a little later (`auth.leeway`).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::sync::Notify;

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
    due: Mutex<Due>,
    earlier: Notify,
    clock: Clock,
    notice: Duration,
    leeway: Duration,
}

/// What is to be done next with each connection: one entry, since each costs memory for as long as
/// its connection is there.
type Due = BTreeMap<Key, Weak<Connection>>;

/// When, what, and with which connection: its address, which is no other's while it is weakly held.
type Key = (Timestamp, Step, usize);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Tell,
    Close,
}

impl Expiries {
    /// Starts the task that looks after them; it ends with the value.
    pub(super) fn start(clock: Clock, notice: Duration, leeway: Duration) -> Self {
        let (due, earlier) = (Mutex::default(), Notify::new());
        let inner = Arc::new(Inner { due, earlier, clock, notice, leeway });
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
        let [tell, _] = self.0.keys(connection, expires_at);
        due.insert(tell, Arc::downgrade(connection));
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
    fn lock(&self) -> MutexGuard<'_, Due> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From telling to closing, in milliseconds.
    fn between_ms(&self) -> i64 {
        i64::try_from((self.notice + self.leeway).as_millis()).unwrap_or(i64::MAX)
    }

    fn keys(&self, connection: &Connection, expires_at: Timestamp) -> [Key; 2] {
        let close_at = expires_at + self.leeway;
        let tell_at = Timestamp::from_millis(close_at.millis().saturating_sub(self.between_ms()));
        let connection = std::ptr::from_ref(connection).addr();
        [(tell_at, Step::Tell, connection), (close_at, Step::Close, connection)]
    }

    /// Does what is due; how long to wait for the next.
    fn act(&self) -> Duration {
        loop {
            let now = self.clock.now();
            let (step, connection) = {
                let mut due = self.lock();
                let ((at, step, address), connection) = match due.first_entry() {
                    Some(first) if first.key().0 <= now => first.remove_entry(),
                    Some(first) => return now.until(first.key().0).min(LOOK_AGAIN),
                    None => return LOOK_AGAIN,
                };
                if step == Step::Tell {
                    // In the same moment, so that whoever forgets finds one or the other.
                    let close_at = at.millis().saturating_add(self.between_ms());
                    let close_at = Timestamp::from_millis(close_at);
                    due.insert((close_at, Step::Close, address), connection.clone());
                }
                (step, connection)
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
