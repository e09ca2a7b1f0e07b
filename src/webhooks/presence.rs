//! Who comes and goes, kept as events that webhooks tell: written beside those who hear of it, the
//! latest of each user. Of whom it was told that they came has a row, so that after a restart it is told
//! that they went.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::sleep};

use super::store::online;
use crate::{
    clock::{Clock, Timestamp},
    config::WebhookConfig,
    db::{Db, Tx},
    error::Result,
    event::EventPatterns,
    id::Id,
    notice::{Notice, What},
    presence::{Follower, Presence, events::UserStatus},
};

/// Users who are written together, at most.
const TOGETHER: usize = 100;

/// When it is tried again what the store refused.
const PAUSE: Duration = Duration::from_secs(1);

/// How long users have to come back after a restart, beside the grace of presence: clients try every five
/// seconds.
const RETURN: Duration = Duration::from_secs(10);

/// Keeps who comes and goes for webhooks. Cheap to clone.
#[derive(Clone)]
pub struct PresenceLog(Arc<Inner>);

struct Inner {
    db: Db,
    clock: Clock,
    /// What is to be written, the latest of each user.
    due: Mutex<BTreeMap<Id, (UserStatus, Timestamp)>>,
    wake: Notify,
}

impl PresenceLog {
    /// For these webhooks; none where nobody wants to know.
    #[must_use]
    pub fn of(webhooks: &[WebhookConfig], db: &Db, clock: &Clock) -> Option<Self> {
        let ends = [What::Online, What::Offline(Timestamp::from_millis(0))].map(What::name);
        let wants = |webhook: &WebhookConfig| {
            let patterns = EventPatterns::new(&webhook.events).unwrap_or_default();
            ends.iter().any(|name| patterns.find(name).is_some())
        };
        webhooks.iter().any(wants).then(|| {
            let (due, wake) = (Mutex::default(), Notify::new());
            Self(Arc::new(Inner { db: db.clone(), clock: clock.clone(), due, wake }))
        })
    }

    /// Writes down who comes and goes, for ever. Who was here before a restart, and has not come back in
    /// time, has gone.
    pub async fn keep(self, presence: Presence, grace: Duration) {
        let writes = async {
            loop {
                self.0.wake.notified().await;
                while self.has_due() {
                    if let Err(error) = self.write().await {
                        tracing::warn!(?error, "who came or went is told to webhooks later");
                        sleep(PAUSE).await;
                    }
                }
            }
        };
        let looks = async {
            presence.known().await;
            sleep(grace + RETURN).await;
            while let Err(error) = self.look_for_gone(&presence).await {
                tracing::warn!(?error, "webhooks are told later who did not come back");
                sleep(PAUSE).await;
            }
        };
        tokio::join!(writes, looks);
    }

    fn has_due(&self) -> bool {
        !self.0.due.lock().is_empty()
    }

    /// Writes down some.
    async fn write(&self) -> Result<()> {
        let some: Vec<_> = {
            let mut due = self.0.due.lock();
            let rest = due.keys().nth(TOGETHER).cloned();
            let rest = rest.map(|first| due.split_off(&first)).unwrap_or_default();
            std::mem::replace(&mut *due, rest).into_iter().collect()
        };
        let written = some.clone();
        let unit = async move |tx: &mut Tx<'_>| {
            for (user, (status, at)) in some {
                let (is_news, what) = match status {
                    UserStatus::Online => (online::note(tx, &user).await?, What::Online),
                    UserStatus::Offline => (online::forget(tx, &user).await?, What::Offline(at)),
                };
                if is_news {
                    tx.announce(Notice { user, what });
                }
            }
            Ok(())
        };
        let done = self.0.db.write(unit).await;
        if done.is_err() {
            let mut due = self.0.due.lock();
            for (user, change) in written {
                // What came meanwhile is later.
                due.entry(user).or_insert(change);
            }
        }
        done
    }

    /// Has it told of who was here, and is not any more.
    async fn look_for_gone(&self, presence: &Presence) -> Result<()> {
        let mut after = Some(String::new());
        while let Some(from) = after {
            let most = i64::try_from(TOGETHER).unwrap_or(i64::MAX);
            let unit = async move |tx: &mut Tx<'_>| Ok(online::after(tx, &from, most).await?);
            let some = self.0.db.read(unit).await?;
            after = some.last().map(Id::to_string);
            let now = self.0.clock.now();
            let mut due = self.0.due.lock();
            for user in some {
                if !presence.is_online(&user) {
                    due.entry(user).or_insert((UserStatus::Offline, now));
                }
            }
            drop(due);
            self.0.wake.notify_one();
        }
        Ok(())
    }
}

impl Follower for PresenceLog {
    fn changed(&self, user: &Id, status: UserStatus, at: Timestamp) {
        self.0.due.lock().insert(user.clone(), (status, at));
        self.0.wake.notify_one();
    }
}
