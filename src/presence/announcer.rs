//! Announces changes of presence: gathered for a moment, the latest state of each user, in one
//! pass. A thousand users who come at once cost every socket one write, not a thousand; a user
//! whose state ended where it began is not spoken of. A socket hears of what happened since it came
//! in; how it was before, its client may ask. The next pass begins when the last one has been written:
//! the more there is to tell, the more is told at once.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;
use tokio::{sync::Notify, time::Instant};

use super::{
    contacts::{Contacts, Search},
    events::{UserOffline, UserOnline, UserStatus, UserStatusChange},
    registry::{Change, Registry, Settled},
};
use crate::{
    error::Result,
    id::Id,
    metrics,
    realtime::{Bundle, Emitter, Part, Picks},
    tasks::Tasks,
};

/// How often the long gone are forgotten.
const FORGET_EVERY: Duration = Duration::from_mins(10);

/// Users who are told of in one bundle.
const MOST_AT_ONCE: usize = 1000;

/// Users whose contacts are looked for together.
const SOUGHT_AT_ONCE: usize = 500;

/// Until contacts are looked for again, when that failed.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Who is told (`PRESENCE_AUDIENCE`).
pub(super) enum Audience {
    /// Every socket.
    Everyone,
    /// The user's contacts, and admins.
    Contacts(Arc<dyn Contacts>),
    Nobody,
}

pub(super) struct Announcer {
    due: Mutex<Due>,
    wake: Notify,
    window: Duration,
    audience: Audience,
}

#[derive(Default)]
struct Due {
    /// Users to look at, by when.
    looks: BTreeMap<Instant, Vec<Id>>,
    /// Users who asked to be announced again.
    again: HashSet<Id>,
}

impl Announcer {
    pub(super) fn start(
        registry: Arc<Registry>,
        emitter: Emitter,
        window: Duration,
        audience: Audience,
        tasks: &Tasks,
    ) -> Arc<Self> {
        let announcer =
            Arc::new(Self { due: Mutex::default(), wake: Notify::new(), window, audience });
        let run = run(Arc::downgrade(&announcer), registry, emitter, window);
        tasks.spawn_until_stopped("presence", run);
        announcer
    }

    pub(super) fn audience(&self) -> &Audience {
        &self.audience
    }

    fn lock(&self) -> MutexGuard<'_, Due> {
        self.due.lock()
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

    /// The users whose time has come, each with whether they asked to be announced again.
    fn take_due(&self) -> HashMap<Id, bool> {
        let mut due = self.lock();
        let later = due.looks.split_off(&Instant::now());
        let looks = std::mem::replace(&mut due.looks, later);
        if looks.is_empty() {
            return HashMap::new();
        }
        let looks = looks.into_values().flatten().map(|user| (user, false));
        let again = due.again.drain().map(|user| (user, true));
        looks.chain(again).collect()
    }

    /// Looks at users once more.
    fn put_back(&self, users: &[(Id, bool)]) {
        for (user, again) in users {
            if *again {
                self.again(user.clone());
            }
            self.look_soon(user.clone());
        }
    }

    fn next(&self) -> Option<Instant> {
        self.lock().looks.first_key_value().map(|(at, _)| *at)
    }

    /// One pass.
    ///
    /// # Errors
    /// What the search for contacts says; whoever was not spoken of is due again.
    async fn announce(&self, registry: &Registry, emitter: &Emitter) -> Result<()> {
        let due = self.take_due();
        match &self.audience {
            Audience::Contacts(contacts) => {
                return self.announce_to(contacts.as_ref(), due, registry, emitter).await;
            }
            Audience::Everyone => {
                let mut news: Vec<News> = due
                    .into_iter()
                    .filter_map(|(user, again)| self.news_of(&user, again, registry))
                    .collect();
                news.sort_unstable_by_key(News::order);
                let mut news = news.into_iter().peekable();
                while news.peek().is_some() {
                    let parts = news.by_ref().take(MOST_AT_ONCE).flat_map(News::into_parts);
                    emitter.emit_bundle(Bundle::new(parts.collect())).await;
                }
            }
            Audience::Nobody => {
                for user in due.into_keys() {
                    self.news_of(&user, false, registry);
                }
            }
        }
        Ok(())
    }

    async fn announce_to(
        &self,
        contacts: &dyn Contacts,
        due: HashMap<Id, bool>,
        registry: &Registry,
        emitter: &Emitter,
    ) -> Result<()> {
        let mut due: Vec<(Id, bool)> = due.into_iter().collect();
        due.retain(|(user, again)| self.has_news(user, registry) || *again);
        let mut left = due.as_slice();
        while !left.is_empty() {
            let (some, rest) = left.split_at(left.len().min(SOUGHT_AT_ONCE));
            let users: Vec<Id> = some.iter().map(|(user, _)| user.clone()).collect();
            let mut search = Search::new(&users, registry);
            if let Err(error) = contacts.find(&mut search).await {
                self.put_back(left);
                return Err(error);
            }
            // What is told is what they are by now.
            let mut news: Vec<(usize, News)> = (0..)
                .zip(some)
                .filter_map(|(index, (user, again))| {
                    Some((index, self.news_of(user, *again, registry)?))
                })
                .collect();
            news.sort_unstable_by_key(|(_, news)| news.order());
            let (mut parts, mut numbers) = (Vec::new(), vec![0..0; some.len()]);
            for (index, news) in news {
                let first = parts.len();
                parts.extend(news.into_parts());
                numbers[index] = first..parts.len();
            }
            let found = search.found().into_iter().map(|(contact, indexes)| {
                let mut picks = Picks::default();
                for number in indexes.iter().flat_map(|index| numbers[index].clone()) {
                    picks.insert(number);
                }
                (contact, picks)
            });
            if !parts.is_empty() {
                emitter.emit_picked(Bundle::new(parts), found).await;
            }
            left = rest;
        }
        Ok(())
    }

    /// Whether there is something to tell of a user now.
    fn has_news(&self, user: &Id, registry: &Registry) -> bool {
        match registry.look(user) {
            Settled::Unchanged => false,
            Settled::Later(at) => {
                self.look_at(user.clone(), at);
                false
            }
            Settled::Changed(_) => true,
        }
    }

    /// What is to be told of a user, which counts as told from now on.
    fn news_of(&self, user: &Id, again: bool, registry: &Registry) -> Option<News> {
        match registry.settle(user) {
            Settled::Changed(change) => {
                let to = match change.status {
                    UserStatus::Online => "online",
                    UserStatus::Offline => "offline",
                };
                metrics::presence_transitions(to).increment(1);
                // Whoever asked to be announced is, to those who came in meanwhile, too.
                let at = (!again).then_some(change.at);
                return Some(News { change, is_known: false, at });
            }
            Settled::Later(at) => self.look_at(user.clone(), at),
            Settled::Unchanged => {}
        }
        let current = again.then(|| registry.current(user)).flatten();
        current.map(|change| News { change, is_known: true, at: None })
    }
}

/// What is to be told of a user.
struct News {
    change: Change,
    /// It was told before, and is asked for again.
    is_known: bool,
    /// Since when must have come in who hears it, unless everyone does.
    at: Option<Instant>,
}

impl News {
    /// In the order in which they happened, and what everyone hears last.
    fn order(&self) -> (bool, Option<Instant>) {
        (self.at.is_none(), self.at)
    }

    /// In the dialects that are told.
    fn into_parts(self) -> SmallVec<[Part; 2]> {
        let Self { change: Change { user: user_id, status, last_seen, at: _ }, is_known, at } =
            self;
        let user = user_id.clone();
        let twin = UserStatusChange { user_id: user.clone(), status, last_seen };
        if is_known {
            return SmallVec::from_iter([Part::again(&twin)]);
        }
        let parts = match status {
            UserStatus::Online => Part::twins(&UserOnline { user_id }, user, &twin, at),
            UserStatus::Offline => Part::twins(&UserOffline { user_id }, user, &twin, at),
        };
        parts.into()
    }
}

async fn run(
    announcer: Weak<Announcer>,
    registry: Arc<Registry>,
    emitter: Emitter,
    window: Duration,
) {
    let mut forget_at = Instant::now() + FORGET_EVERY;
    let mut failed = false;
    loop {
        let Some(this) = announcer.upgrade() else { return };
        let next = this.next().unwrap_or(forget_at).min(forget_at);
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = this.wake.notified() => continue,
        }
        let pass = this.announce(&registry, &emitter).await;
        if let Err(error) = &pass
            && !failed
        {
            tracing::warn!(?error, "who came or went is told later: contacts can't be looked for");
        }
        failed = pass.is_err();
        if Instant::now() >= forget_at {
            registry.forget_the_long_gone();
            forget_at = Instant::now() + FORGET_EVERY;
        }
        drop(this);
        // Whoever comes meanwhile is told of together.
        tokio::time::sleep(if failed { TRY_AGAIN_AFTER } else { window }).await;
    }
}
