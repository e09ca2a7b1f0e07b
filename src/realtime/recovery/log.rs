//! What becomes of sessions, in its order, written in groups beside everything else. While the store is
//! away nothing is kept of it; sessions that it is not known any more of are over then.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::{MissedTickBehavior, interval, timeout},
};
use uuid::Uuid;

use super::{
    entry::Entry,
    store::{self, past},
};
use crate::{
    clock::Clock,
    db::{Db, Tx},
    error::{Code, Error, Result},
    tasks::Tasks,
};

/// For how long a client may come back whose end was seen.
const AFTER_END: Duration = Duration::from_mins(2);

/// The same where nobody saw it: its server was killed.
const AFTER_KILL: Duration = Duration::from_hours(24);

/// How long is gathered what nobody waits for, so that much of it is written together.
const GATHER: Duration = Duration::from_millis(20);

/// Entries that are written together.
const AT_ONCE: usize = 500;

/// Entries that may wait. With more of them nothing is kept.
const MOST: usize = 200_000;

/// How often it is looked for what is over.
const PRUNE: Duration = Duration::from_mins(1);

/// Where it is noted. Cheap to clone.
#[derive(Clone)]
pub(super) struct Log {
    entries: mpsc::UnboundedSender<Entry>,
    /// Somebody waits until it is written.
    asked: Arc<Notify>,
}

impl Log {
    pub(super) fn start(db: Db, clock: Clock, tasks: &Tasks) -> Self {
        let (entries, noted) = mpsc::unbounded_channel();
        let asked = Arc::new(Notify::new());
        let writer = Writer { db, clock, asked: asked.clone(), is_void: false };
        tasks.spawn("sessions", writer.run(noted, tasks.stopping()));
        Self { entries, asked }
    }

    /// Notes it; it is written soon.
    pub(super) fn note(&self, entry: Entry) {
        // The writer ends with the server.
        let _ = self.entries.send(entry);
    }

    /// Waits until what was noted so far is written.
    pub(super) async fn written(&self) -> Result<()> {
        let (asked, written) = oneshot::channel();
        self.note(Entry::Asked(asked));
        self.asked.notify_one();
        written.await.map_err(|_| Error::new(Code::Unavailable, "The store is away."))
    }
}

struct Writer {
    db: Db,
    clock: Clock,
    asked: Arc<Notify>,
    /// Something was not written: what is there is not to be relied on.
    is_void: bool,
}

impl Writer {
    async fn run(
        mut self,
        mut entries: mpsc::UnboundedReceiver<Entry>,
        stopping: impl Future<Output = ()>,
    ) {
        let mut stopping = std::pin::pin!(stopping.fuse());
        if self.db.process().is_none() {
            self.note_orphans().await;
        }
        let mut ticks = interval(PRUNE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut some = Vec::with_capacity(AT_ONCE);
        loop {
            tokio::select! {
                taken = entries.recv_many(&mut some, AT_ONCE) => {
                    if taken == 0 {
                        return;
                    }
                    // The others that come meanwhile are written with it.
                    let _ = timeout(GATHER, self.asked.notified()).await;
                    while some.len() < AT_ONCE && let Ok(entry) = entries.try_recv() {
                        some.push(entry);
                    }
                    if entries.len() > MOST {
                        while entries.try_recv().is_ok() {}
                        self.is_void = true;
                    }
                    self.write(&mut some).await;
                }
                _ = ticks.tick() => self.prune().await,
                // What was noted by then is still written: who was here may come back.
                () = &mut stopping => entries.close(),
            }
        }
    }

    /// A file's sessions that seem to go on are of a server that was killed.
    async fn note_orphans(&mut self) {
        let expires_at = self.clock.now() + AFTER_KILL;
        let (mut after, reach) = (None, self.db.reach());
        loop {
            let reach = reach.clone();
            let note = async move |tx: &mut Tx<'_>| {
                Ok(store::orphaned(tx, after, expires_at, &reach).await?)
            };
            match self.db.write(note).await {
                Ok(None) => return,
                Ok(last) => after = last,
                Err(error) => {
                    tracing::warn!(%error, "sessions from before are over");
                    self.is_void = true;
                    return;
                }
            }
        }
    }

    /// Writes entries; whoever asked is answered only when they are.
    async fn write(&mut self, entries: &mut Vec<Entry>) {
        let is_asked = |entry: &Entry| matches!(entry, Entry::Asked(_));
        let (asked, entries): (Vec<_>, Vec<_>) = entries.drain(..).partition(is_asked);
        if !entries.is_empty() || self.is_void {
            let (is_void, node) = (self.is_void, self.db.process());
            let written = self.db.write(async move |tx: &mut Tx<'_>| {
                if is_void {
                    store::forget_all(tx).await?;
                }
                Ok(write(tx, node, &entries).await?)
            });
            if let Err(error) = written.await {
                if !self.is_void {
                    tracing::warn!(%error, "sessions are not kept, and over when their clients come back");
                }
                self.is_void = true;
                return;
            }
            self.is_void = false;
        }
        for asked in asked {
            if let Entry::Asked(asked) = asked {
                // Whoever asked may have gone.
                let _ = asked.send(());
            }
        }
    }

    async fn prune(&self) {
        if let Some(node) = self.db.process() {
            let before = self.clock.now() - AFTER_KILL;
            let seen = async move |tx: &mut Tx<'_>| Ok(store::seen(tx, node).await?);
            let lost = async move |tx: &mut Tx<'_>| Ok(store::lost(tx, before).await?);
            // Where the store is away, the next time.
            let _ = self.db.write(seen).await;
            while self.db.write(lost).await.unwrap_or(false) {
                tokio::task::yield_now().await;
            }
        }
        let prune = async |tx: &mut Tx<'_>| Ok(store::prune(tx).await?);
        while self.db.write(prune).await.unwrap_or(false) {
            tokio::task::yield_now().await;
        }
    }
}

async fn write(tx: &mut Tx<'_>, node: Option<Uuid>, entries: &[Entry]) -> crate::db::Result<()> {
    let now = tx.now();
    // What becomes of many at once when many come: nothing else is said of them in between.
    let (mut begun, mut restored) = (Vec::new(), Vec::new());
    for entry in entries {
        if let Some(row) = store::begun(now, node, entry) {
            begun.push(row);
            continue;
        }
        if let Some(row) = store::restored(entry) {
            restored.push(row);
            continue;
        }
        store::begin(tx, &std::mem::take(&mut begun)).await?;
        store::restore(tx, &std::mem::take(&mut restored)).await?;
        match entry {
            Entry::Joined { key, generation, room, entered, joined, caught_up } => {
                let session = (*key, *generation);
                store::join(tx, session, room, (entered, joined), *caught_up).await?;
            }
            Entry::Left { key, generation, room, leaving } => {
                let session = (*key, *generation);
                if let Some(leaving) = leaving {
                    past::left(tx, session, room, leaving).await?;
                }
                store::leave(tx, session, room).await?;
            }
            Entry::Replayed { key, room, since, upto } => {
                past::replayed(tx, *key, room, *since, *upto).await?;
            }
            Entry::Ended { key, generation, leaving } => {
                store::end(tx, *key, *generation, now + AFTER_END, leaving).await?;
            }
            Entry::Forgotten { key, generation, leaving } => {
                store::forget(tx, *key, *generation, leaving).await?;
            }
            Entry::Began { .. } | Entry::Restored { .. } | Entry::Asked(_) => {}
        }
    }
    store::begin(tx, &begun).await?;
    store::restore(tx, &restored).await
}
