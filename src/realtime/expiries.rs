//! The ends of tokens as they come: tells sockets and closes them when that is due.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::{
    connection::Connection,
    deadlines::{Deadlines, Due, Step},
    events::{AuthExpiring, ClosingReason},
    frame::Outgoing,
};
use crate::{auth::Identity, clock::Clock, tasks::Tasks};

/// The longest wait between two looks at the clock, which may be set.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Looks after the tokens of connections.
pub(super) struct Expiries(Arc<Inner>);

struct Inner {
    deadlines: Mutex<Deadlines<Weak<Connection>>>,
    earlier: Notify,
    clock: Clock,
}

impl Expiries {
    /// Starts the task that does what is due; it ends with the value.
    pub(super) fn start(tasks: &Tasks, clock: Clock, notice: Duration, leeway: Duration) -> Self {
        let deadlines = Mutex::new(Deadlines::new(notice, leeway));
        let inner = Arc::new(Inner { deadlines, earlier: Notify::new(), clock });
        let weak = Arc::downgrade(&inner);
        tasks.spawn_until_stopped("token ends", async move {
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
        let one = Arc::downgrade(connection);
        if self.0.lock().watch(number(connection), expires_at, one) {
            self.0.earlier.notify_one();
        }
    }

    /// No longer.
    pub(super) fn forget(&self, connection: &Connection, identity: &Identity) {
        let Some(expires_at) = identity.expires_at else { return };
        self.0.lock().forget(number(connection), expires_at);
    }
}

/// A connection's address: no other's while it is weakly held.
fn number(connection: &Connection) -> usize {
    std::ptr::from_ref(connection).addr()
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Deadlines<Weak<Connection>>> {
        self.deadlines.lock()
    }

    /// Does what is due; how long to wait for the next.
    fn act(&self) -> Duration {
        loop {
            let due = self.lock().due(self.clock.now());
            let (step, connection) = match due {
                Due::Now(step, connection) => (step, connection),
                Due::In(wait) => return wait.min(LOOK_AGAIN),
                Due::Never => return LOOK_AGAIN,
            };
            let Some(connection) = connection.upgrade() else { continue };
            match step {
                Step::Tell => {
                    let expires_at = connection.identity().and_then(|identity| identity.expires_at);
                    if let Some(expires_at) = expires_at {
                        connection.send(Outgoing::of(&AuthExpiring { expires_at }));
                    }
                }
                Step::Close => connection.close(ClosingReason::TokenExpired),
            }
        }
    }
}
