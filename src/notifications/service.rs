//! The rules of notifications. Each change is one unit of work that locks the inboxes of its users,
//! so that the numbers of what is unread are told in the order in which they were true.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use sha2::{Digest, Sha256};

use super::{
    announcements,
    events::Notification,
    requests::{Notice, ReadResult, Sent},
    store::{self, notification},
};
use crate::{
    auth::Identity,
    config::{CausesConfig, NotificationsConfig},
    db::{self, Db, Tx},
    error::{Code, Error, Result},
    id::{Id, Ids},
    rest::list::{List, Page},
};

/// Users whom one unit tells something: it takes the store a few milliseconds, and a request for
/// more of them is several units, between which others are served.
const USERS_AT_ONCE: usize = 200;

/// For how long a request that comes again goes on where it ended
/// (docs/contract/rest.md#conventions).
const RESUMED_FOR: Duration = Duration::from_hours(24);

/// What a notification is about.
#[derive(Clone, Copy, Default)]
pub(super) struct About<'a> {
    /// Something of which one that is unread is enough.
    pub(super) topic: Option<&'a str>,
    /// Those whose names or words it has.
    pub(super) words_of: [Option<&'a Id>; 2],
}

/// Notifications of users. Cheap to clone.
#[derive(Clone)]
pub struct NotificationService {
    pub(super) db: Db,
    ids: Ids,
    pub(super) causes: Arc<CausesConfig>,
}

impl NotificationService {
    /// Notifications in this store, and how users are told of what happens elsewhere.
    #[must_use]
    pub fn new(db: Db, ids: Ids, config: &NotificationsConfig) -> Self {
        Self { db, ids, causes: Arc::new(config.causes.clone()) }
    }

    /// Tells users something in a unit of work of another room: it is kept with that, and each of
    /// them hears `new-notification`, then `unread-count-update`. For a few hundred users at most,
    /// and once in a unit, with all of them, so that units never wait for each other in a circle.
    ///
    /// # Errors
    /// The store's.
    pub async fn notify(
        &self,
        tx: &mut Tx<'_>,
        users: &BTreeSet<Id>,
        notice: Notice,
    ) -> Result<Notification> {
        self.notify_about(tx, users, notice, About::default()).await
    }

    /// The same, about something or somebody.
    pub(super) async fn notify_about(
        &self,
        tx: &mut Tx<'_>,
        users: &BTreeSet<Id>,
        notice: Notice,
        about: About<'_>,
    ) -> Result<Notification> {
        let notification = notification(self.ids.next().into(), notice, tx.now());
        if users.is_empty() {
            return Ok(notification);
        }
        let users: Vec<_> = users.iter().cloned().collect();
        store::insert_content(tx, &notification, users.len(), None, about.words_of).await?;
        tell(tx, &notification, about, &users, 0).await?;
        Ok(notification)
    }

    /// Sends a notification. For many users it is several units: what `request` names goes on where
    /// it ended when it comes again, and nobody is told twice.
    pub(super) async fn send(
        &self,
        notice: Notice,
        users: BTreeSet<Id>,
        request: Option<Vec<u8>>,
    ) -> Result<Sent> {
        let recipients = users.len();
        if recipients <= USERS_AT_ONCE {
            let (service, bytes) = (self.clone(), notice.bytes());
            let unit = async move |tx: &mut Tx<'_>| {
                let notification = service.notify(tx, &users, notice).await?;
                Ok(Sent { notification, recipients })
            };
            return self.db.write_sized(bytes, unit).await;
        }
        let users: Arc<[Id]> = users.into_iter().collect();
        let key = request.map(|request| key_of(&request, &notice, &users));
        let service = self.clone();
        self.db.run_to_completion(service.send_in_batches(notice, users, key)).await
    }

    async fn send_in_batches(
        self,
        notice: Notice,
        users: Arc<[Id]>,
        key: Option<Vec<u8>>,
    ) -> Result<Sent> {
        let (notification, mut told) = self.begin(notice, users.len(), key).await?;
        while users.len() - told > USERS_AT_ONCE {
            let (notification, users) = (notification.clone(), users.clone());
            let from = told;
            told += USERS_AT_ONCE;
            let unit = async move |tx: &mut Tx<'_>| {
                let some = &users[from..from + USERS_AT_ONCE];
                tell(tx, &notification, About::default(), some, from).await
            };
            self.db.write(unit).await?;
        }
        // The last of the units gives back what is answered, so the answer is kept with it.
        let unit = async move |tx: &mut Tx<'_>| {
            if told < users.len() {
                tell(tx, &notification, About::default(), &users[told..], told).await?;
            }
            Ok(Sent { notification, recipients: users.len() })
        };
        self.db.write(unit).await
    }

    /// Writes down what many users are to be told, or finds what the same request began; how many
    /// have been told.
    async fn begin(
        &self,
        notice: Notice,
        users: usize,
        key: Option<Vec<u8>>,
    ) -> Result<(Notification, usize)> {
        let (id, bytes) = (self.ids.next().into(), notice.bytes());
        let unit = async move |tx: &mut Tx<'_>| {
            if let Some(key) = &key
                && let Some(begun) = store::of_request(tx, key, tx.now() - RESUMED_FOR).await?
            {
                return Ok(begun);
            }
            let notification = notification(id, notice, tx.now());
            store::insert_content(tx, &notification, users, key, [None; 2]).await?;
            Ok((notification, 0))
        };
        self.db.write_sized(bytes, unit).await
    }

    /// The caller's notifications, newest first.
    pub(super) async fn list(
        &self,
        caller: Arc<Identity>,
        unread: bool,
        page: Page,
    ) -> Result<List<Notification>> {
        let before = page.after()?.unwrap_or(i64::MAX);
        let unit = async move |tx: &mut Tx<'_>| {
            let limit = i64::try_from(page.fetch()).unwrap_or(i64::MAX);
            let rows = store::list(tx, &caller.user_id, unread, before, limit).await?;
            Ok(List::of(rows, &page, |(ordinal, _)| *ordinal, |(_, notification)| notification))
        };
        self.db.read(unit).await
    }

    /// How many of their notifications the caller has not read.
    pub(super) async fn unread_count(&self, caller: Arc<Identity>) -> Result<u64> {
        let unit = async move |tx: &mut Tx<'_>| {
            let inbox = store::inbox(tx, &caller.user_id).await?;
            Ok(inbox.map_or(0, |inbox| inbox.unread))
        };
        self.db.read(unit).await
    }

    /// Notes that the caller has read a notification.
    pub(super) async fn read(&self, caller: Arc<Identity>, id: Id) -> Result<ReadResult> {
        let unit =
            async move |tx: &mut Tx<'_>| read_one(tx, &caller.user_id, &id).await?.ok_or_else(none);
        self.db.write(unit).await
    }

    /// Notes that the caller has read all their notifications.
    pub(super) async fn read_all(&self, caller: Arc<Identity>) -> Result<ReadResult> {
        let unit = async move |tx: &mut Tx<'_>| {
            let user = &caller.user_id;
            let inbox = store::inbox_for_update(tx, user).await?.filter(|inbox| inbox.unread > 0);
            let Some(inbox) = inbox else {
                return Ok(ReadResult { modified_count: 0, unread_count: 0 });
            };
            store::set_all_read(tx, user, &inbox).await?;
            tx.announce(announcements::counted(0, [user].into_iter()));
            Ok(ReadResult { modified_count: inbox.unread, unread_count: 0 })
        };
        self.db.write(unit).await
    }

    /// Deletes a notification of the caller.
    pub(super) async fn delete(&self, caller: Arc<Identity>, id: Id) -> Result<()> {
        let unit = async move |tx: &mut Tx<'_>| {
            let user = &caller.user_id;
            let inbox = store::inbox_for_update(tx, user).await?.ok_or_else(none)?;
            let (entry, forgotten) = store::remove(tx, user, &id).await?.ok_or_else(none)?;
            if forgotten {
                // Nothing would find it any more, should they be erased whose words it has.
                db::take_back(tx, &id).await?;
            }
            let mut unread = inbox.unread;
            if entry.is_unread(&inbox) {
                unread = less(unread, 1)?;
                store::set_unread(tx, user, unread).await?;
            }
            // What was read already is told, too: the other tabs still show it.
            tx.announce(announcements::counted(unread, [user].into_iter()));
            Ok(())
        };
        self.db.write(unit).await
    }
}

/// Tells users something that is written down, after so many others.
async fn tell(
    tx: &mut Tx<'_>,
    notification: &Notification,
    about: About<'_>,
    users: &[Id],
    after: usize,
) -> Result<()> {
    let counts = store::add(tx, notification, about.topic, users).await?;
    if !store::set_told(tx, &notification.id, after, after + users.len()).await? {
        let sentence = "The same request is carried out by another call; ask again.";
        return Err(Error::new(Code::Conflict, sentence));
    }
    let told = announcements::told(notification, users.iter());
    if about.words_of.iter().any(Option::is_some) {
        tx.announce(told.about(notification.id.clone()));
    } else {
        tx.announce(told);
    }
    announce_counts(tx, counts);
    Ok(())
}

/// Notes that a user has read a notification; none that they do not have.
pub(super) async fn read_one(tx: &mut Tx<'_>, user: &Id, id: &Id) -> Result<Option<ReadResult>> {
    let Some(inbox) = store::inbox_for_update(tx, user).await? else { return Ok(None) };
    let Some(entry) = store::find(tx, user, id).await? else { return Ok(None) };
    if !entry.is_unread(&inbox) {
        return Ok(Some(ReadResult { modified_count: 0, unread_count: inbox.unread }));
    }
    let unread = less(inbox.unread, 1)?;
    store::set_read(tx, user, entry.ordinal).await?;
    store::set_unread(tx, user, unread).await?;
    tx.announce(announcements::counted(unread, [user].into_iter()));
    Ok(Some(ReadResult { modified_count: 1, unread_count: unread }))
}

/// Tells users how many are unread, all who have as many by one event.
pub(super) fn announce_counts(tx: &mut Tx<'_>, counts: Vec<(Id, u64)>) {
    let mut by_count: BTreeMap<u64, Vec<Id>> = BTreeMap::new();
    for (user, unread) in counts {
        by_count.entry(unread).or_default().push(user);
    }
    for (unread, users) in by_count {
        tx.announce(announcements::counted(unread, users.iter()));
    }
}

/// A number that is kept, made smaller.
pub(super) fn less(unread: u64, by: u64) -> Result<u64> {
    unread.checked_sub(by).ok_or_else(|| Error::internal("more was unread than was counted"))
}

/// What names a request and all that it says.
fn key_of(request: &[u8], notice: &Notice, users: &[Id]) -> Vec<u8> {
    let mut hash = Sha256::new_with_prefix(request);
    // As JSON each part ends where it ends.
    hash.update(serde_json::to_vec(&(notice, users)).unwrap_or_default());
    hash.finalize().to_vec()
}

fn none() -> Error {
    Error::new(Code::NotFound, "There is no such notification.")
}
