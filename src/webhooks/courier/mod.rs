//! Delivers events to one backend: reads them in the order of all of them, calls it for several streams
//! at once, and writes down how far it is.

mod came;
mod desk;
mod needs;
mod queue;
mod settle;
mod waits;

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};

use self::{
    came::{Came, Found, Of},
    desk::PAUSE,
    queue::{Queue, Turn},
    settle::Written,
    waits::wait,
};
pub(super) use self::{desk::Desk, needs::Needs};
use super::{
    delivery::{Delivery, Telling},
    endpoint::{Endpoint, Failure, Outcome},
    store::{
        deliveries::{self, Tried},
        progress::Progress,
    },
};
use crate::{
    clock::{Clock, Timestamp},
    db::{self, Db, Portion, Reach, Tx},
    error::Result,
    metrics,
};

/// How long what was put aside is kept: as long as events are that are still needed.
const KEPT_FOR: Duration = Duration::from_hours(7 * 24);

/// How often it is written down how far it is.
const WRITE_INTERVAL: Duration = Duration::from_millis(100);

/// How long calls that are under way have when the server stops.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// How often what was put aside long ago is forgotten.
const FORGET_INTERVAL: Duration = Duration::from_hours(1);

/// Rows that are forgotten together.
const FORGOTTEN: i64 = 100;

/// How much is read at once.
const PORTION: Portion = Portion { events: 200, bytes: 1024 * 1024 };

/// Delivers events to one backend.
pub(super) struct Courier {
    pub(super) name: Arc<str>,
    pub(super) db: Db,
    pub(super) clock: Clock,
    pub(super) telling: Telling,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) max_calls: usize,
    pub(super) desk: Arc<Desk>,
    /// Which events are still needed, and whose place there is this.
    pub(super) needs: Arc<Needs>,
    pub(super) place: usize,
}

/// One life of a courier: until somebody else has changed what is kept of its webhook.
struct Round {
    courier: Arc<Courier>,
    changed: u64,
    progress: Progress,
    /// How far it is in the store.
    written: Progress,
    queue: Queue,
    /// Whether there was more to try than it has in hand.
    has_more: bool,
    flying: FuturesUnordered<BoxFuture<'static, Came>>,
    write_at: Instant,
    forget_at: Instant,
    /// The backend wants to be left alone until then.
    busy_until: Option<Timestamp>,
    /// While it fails: when an event is begun that was not tried yet, and how often one was.
    probe: Option<(Timestamp, i64)>,
    /// It is not known any more what is written down.
    is_doubtful: bool,
}

impl Courier {
    /// Delivers until the server stops.
    pub(super) async fn run(self: Arc<Self>, stopping: impl Future<Output = ()> + Send) {
        let mut stopping = Box::pin(stopping);
        let mut reached = self.db.reached();
        loop {
            let begun = tokio::select! {
                begun = Round::begin(self.clone()) => begun,
                () = &mut stopping => return,
            };
            match begun {
                Ok(mut round) => {
                    let goes_on = tokio::select! {
                        () = round.deliver(&mut reached) => true,
                        () = &mut stopping => false,
                    };
                    if !goes_on {
                        return round.end().await;
                    }
                }
                Err(error) => {
                    tracing::warn!(webhook = &*self.name, ?error, "a webhook waits for the store");
                    tokio::select! {
                        () = sleep(PAUSE) => {}
                        () = &mut stopping => return,
                    }
                }
            }
        }
    }

    /// Calls the backend for an event, from one of its calls on.
    async fn tell(self: Arc<Self>, delivery: Arc<Delivery>, mut sent: usize) -> Came {
        let (position, begun) = (delivery.position, Instant::now());
        let mut outcome = Outcome::Delivered;
        while sent < delivery.calls() && matches!(outcome, Outcome::Delivered) {
            let Some(body) = delivery.body(sent, &self.telling.presence) else { break };
            outcome = self.endpoint.call(&delivery.id(sent), body).await;
            sent += usize::from(matches!(outcome, Outcome::Delivered));
        }
        Came { position, of: Of::Calls { sent, outcome, took: begun.elapsed() } }
    }

    /// The same for an event that is read for it.
    async fn tell_again(self: Arc<Self>, position: i64, sent: usize) -> Came {
        match self.find(position).await {
            Ok(Found::Delivery(delivery)) => self.tell(Arc::new(*delivery), sent).await,
            Ok(Found::Nothing) => Came { position, of: Of::Nothing },
            Ok(Found::Gone) => Came { position, of: Of::Gone },
            Err(_) => Came { position, of: Of::Store },
        }
    }

    /// Forgets what was put aside too long ago to be replayed.
    async fn forget(&self) -> Result<()> {
        loop {
            let name = self.name.clone();
            let unit = async move |tx: &mut Tx<'_>| {
                let before = tx.now() - KEPT_FOR;
                Ok(deliveries::forget_aside(tx, &name, before, FORGOTTEN).await?)
            };
            if self.db.write(unit).await? == 0 {
                return Ok(());
            }
            sleep(WRITE_INTERVAL).await;
        }
    }

    async fn find(&self, position: i64) -> Result<Found> {
        let telling = self.telling.clone();
        let unit = async move |tx: &mut Tx<'_>| {
            let mut events = db::committed_after(tx, position - 1, position, PORTION).await?;
            let Some(event) = events.pop() else { return Ok(Found::Gone) };
            let Some(mut delivery) = telling.of(event) else { return Ok(Found::Nothing) };
            delivery.find_people(tx).await?;
            Ok(Found::Delivery(Box::new(delivery)))
        };
        self.db.read(unit).await
    }

    /// The next events after a position that the backend is told, and up to where that is all.
    async fn read(&self, after: i64, upto: i64) -> Result<(Vec<Delivery>, i64)> {
        let telling = self.telling.clone();
        let unit = async move |tx: &mut Tx<'_>| {
            let events = db::committed_after(tx, after, upto, PORTION).await?;
            let last = events.last().map_or(upto, |event| event.position);
            let mut deliveries = Vec::new();
            for event in events {
                if let Some(mut delivery) = telling.of(event) {
                    delivery.find_people(tx).await?;
                    deliveries.push(delivery);
                }
            }
            Ok((deliveries, last))
        };
        self.db.read(unit).await
    }
}

impl Round {
    async fn begin(courier: Arc<Courier>) -> Result<Self> {
        let changed = *courier.desk.changed.lock().await;
        let (progress, queue, lowest) = settle::load(&courier.db, &courier.name).await?;
        courier.needs.set(courier.place, progress.position, lowest);
        courier.desk.health.lock().off_at = progress.off_at;
        let has_more = queue.sizes().1 >= queue::MOST_HEADS;
        let now = Instant::now();
        Ok(Self {
            courier,
            changed,
            progress,
            written: progress,
            queue,
            has_more,
            flying: FuturesUnordered::new(),
            write_at: now,
            forget_at: now,
            busy_until: None,
            probe: None,
            is_doubtful: false,
        })
    }

    /// Delivers, until somebody else has changed what is kept.
    async fn deliver(&mut self, reached: &mut watch::Receiver<Reach>) {
        loop {
            let settled = reached.borrow_and_update().settled();
            if let Err(error) = self.advance(settled).await {
                tracing::warn!(
                    webhook = &*self.courier.name,
                    ?error,
                    "a webhook waits for the store"
                );
                sleep(PAUSE).await;
            }
            if self.is_doubtful {
                return;
            }
            if *self.courier.desk.changed.lock().await != self.changed {
                return;
            }
            let wake = self.wake_at(settled);
            let desk = self.courier.desk.clone();
            tokio::select! {
                Some(came) = self.flying.next() => {
                    self.note(came);
                    // What has ended meanwhile is noted with it.
                    while let Some(Some(came)) = self.flying.next().now_or_never() {
                        self.note(came);
                    }
                }
                _ = reached.changed(), if self.reads() => {}
                () = desk.wake.notified() => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// Reads, begins and writes down what it can.
    async fn advance(&mut self, settled: i64) -> Result<()> {
        let read = self.queue.read();
        if self.reads() && read < settled {
            let (deliveries, upto) = self.courier.read(read, settled).await?;
            self.queue.take(deliveries, upto);
        }
        if self.progress.off_at.is_none() {
            self.begin_calls();
        }
        let now = Instant::now();
        // They hear of it when it is dropped.
        let asking = self.courier.desk.asking();
        if now >= self.write_at || !asking.is_empty() {
            self.write().await?;
            self.write_at = now + WRITE_INTERVAL;
        }
        if now >= self.forget_at {
            self.courier.forget().await?;
            self.forget_at = now + FORGET_INTERVAL;
        }
        self.tell_health(settled);
        Ok(())
    }

    /// Whether it goes on to other events.
    fn reads(&self) -> bool {
        self.progress.off_at.is_none() && self.queue.has_room()
    }

    fn begin_calls(&mut self) {
        let now = self.courier.clock.now();
        if self.busy_until.is_some_and(|until| now < until) {
            return;
        }
        let new = self.new_events(now);
        let places = self.courier.max_calls.saturating_sub(self.flying.len());
        for turn in self.queue.turns(now, places, new) {
            let courier = self.courier.clone();
            self.flying.push(match turn {
                Turn::First(delivery) => {
                    if let Some((at, tries)) = &mut self.probe {
                        (*at, *tries) = (now + wait(*tries, None), *tries + 1);
                    }
                    Box::pin(courier.tell(delivery, 0))
                }
                Turn::Again(position, sent) => Box::pin(courier.tell_again(position, sent)),
            });
        }
    }

    /// How many events may be begun that were not tried yet: while it fails one now and then, to see whether
    /// it is those alone that it refuses.
    fn new_events(&mut self, now: Timestamp) -> usize {
        if !self.courier.desk.health.lock().is_failing() {
            self.probe = None;
            return usize::MAX;
        }
        let (at, _) = *self.probe.get_or_insert_with(|| (now + wait(1, None), 1));
        usize::from(at <= now)
    }

    /// When there is something to do next, whatever happens meanwhile.
    fn wake_at(&mut self, settled: i64) -> Instant {
        let now = Instant::now();
        let is_on = self.progress.off_at.is_none();
        if is_on && self.queue.has_room() && self.queue.read() < settled {
            return now;
        }
        let clock = self.courier.clock.now();
        // What is due already waits for what is under way; and somebody may set the clock meanwhile.
        let wait = |at| match clock.until(at) {
            Duration::ZERO => now + WRITE_INTERVAL,
            wait => now + wait.min(PAUSE),
        };
        let retry = self.queue.next_at().filter(|_| is_on);
        let retry = retry.map(|at| wait(self.busy_until.map_or(at, |until| until.max(at))));
        let progress = Progress { position: self.queue.position(), ..self.progress };
        let has_changes = self.queue.has_changes() || progress != self.written;
        let write = has_changes.then_some(self.write_at);
        let probe = self.probe.filter(|_| is_on).map(|(at, _)| wait(at));
        let wakes = [retry, probe, write, Some(self.forget_at)];
        // A head may wait for what is under way: that it ends is told.
        let first = wakes.into_iter().flatten().min().unwrap_or(now + PAUSE);
        first.max(now + Duration::from_millis(1))
    }

    /// Notes what came of an event.
    fn note(&mut self, came: Came) {
        let (position, now) = (came.position, self.courier.clock.now());
        match came.of {
            Of::Store => self.queue.put_back(position, now + PAUSE),
            Of::Nothing => {
                self.count("nothing");
                self.queue.done(position);
            }
            Of::Gone => {
                let webhook = &*self.courier.name;
                tracing::warn!(
                    webhook,
                    position,
                    "an event was given up before a webhook was told it"
                );
                self.count("gone");
                self.queue.done(position);
            }
            Of::Calls { outcome: Outcome::Delivered, took, .. } => {
                self.count("delivered");
                metrics::webhook_duration(self.courier.name.to_string()).record(took);
                self.queue.done(position);
                self.answered(now);
            }
            Of::Calls { outcome: Outcome::Gone, .. } => {
                self.count("gone");
                self.queue.put_back(position, now);
                if self.progress.off_at.is_none() {
                    self.progress.off_at = Some(now);
                    self.write_at = Instant::now();
                    let mut health = self.courier.desk.health.lock();
                    (health.off_at, health.failed_at) = (Some(now), Some(now));
                    health.reason = Some("It answered with 410, which turns it off.".to_owned());
                    tracing::warn!(webhook = &*self.courier.name, "a webhook is turned off (410)");
                }
            }
            Of::Calls { outcome: Outcome::Failed(failure), sent, .. } => {
                self.count(failure.kind);
                self.fail(position, sent, &failure, now);
            }
        }
    }

    fn answered(&mut self, now: Timestamp) {
        let mut health = self.courier.desk.health.lock();
        health.delivered_at = Some(now);
        if health.is_failing() {
            tracing::info!(webhook = &*self.courier.name, "the backend of a webhook answers again");
            self.queue.hurry(now);
        }
        health.failures_in_a_row = 0;
    }

    fn fail(&mut self, position: i64, sent: usize, failure: &Failure, now: Timestamp) {
        let before = self.queue.tried(position).cloned().unwrap_or_default();
        let tried_at = before.first_at.unwrap_or(now);
        let attempts = before.attempts + 1;
        let wait = wait(attempts, failure.retry_after);
        if failure.is_busy {
            self.busy_until = Some(now + wait);
        }
        let tried = Tried {
            sent: i64::try_from(sent).unwrap_or(i64::MAX),
            attempts,
            first_at: Some(tried_at),
            next_at: Some(now + wait),
            reason: Some(failure.reason.clone()),
        };
        {
            let mut health = self.courier.desk.health.lock();
            health.failures_in_a_row = health.failures_in_a_row.saturating_add(1);
            (health.failed_at, health.reason) = (Some(now), Some(failure.reason.clone()));
            if health.begins_to_fail() {
                let (webhook, why) = (&*self.courier.name, &failure.reason);
                tracing::warn!(webhook, why, "the backend of a webhook fails; it is tried again");
            }
        }
        if before.first_at.is_some() && settle::is_over(tried_at, now) {
            let webhook = &*self.courier.name;
            tracing::warn!(webhook, position, attempts, "an event was put aside by a webhook");
            self.count("put_aside");
            self.queue.put_aside(position, tried);
        } else {
            self.queue.failed(position, tried);
        }
    }

    fn count(&self, outcome: &'static str) {
        metrics::webhook_deliveries(self.courier.name.to_string(), outcome).increment(1);
    }

    /// Writes down how far it is, unless somebody else has changed that.
    async fn write(&mut self) -> Result<()> {
        let progress = Progress { position: self.queue.position(), ..self.progress };
        if !self.queue.has_changes() && progress == self.written && !self.has_more {
            return Ok(());
        }
        let desk = self.courier.desk.clone();
        let guard = desk.changed.lock().await;
        if *guard != self.changed {
            return Ok(());
        }
        let (name, changes) = (self.courier.name.clone(), self.queue.changes());
        let more = self.has_more && self.queue.sizes().1 < queue::MOST_HEADS / 2;
        let unit = async move |tx: &mut Tx<'_>| {
            let written = settle::write(tx, &name, progress, &changes).await?;
            let more = if more { settle::heads(tx, &name).await? } else { Vec::new() };
            Ok((written, more))
        };
        let written = self.courier.db.write(unit).await;
        // It may have been written all the same.
        self.is_doubtful = written.is_err();
        let (written, heads) = written?;
        let Written { freed, heads: turned, lowest } = written;
        self.queue.wrote(freed, turned);
        if more {
            self.has_more = heads.len() >= queue::MOST_HEADS;
            self.queue.add_heads(heads);
        }
        (self.progress, self.written) = (progress, progress);
        self.courier.needs.set(self.courier.place, progress.position, lowest);
        drop(guard);
        Ok(())
    }

    fn tell_health(&mut self, settled: i64) {
        let position = self.queue.position();
        let (_, retried) = self.queue.sizes();
        let behind = u64::try_from(settled - position).unwrap_or(0);
        let oldest_at = self.queue.oldest();
        let name = || self.courier.name.to_string();
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        metrics::webhook_behind(name()).set(behind as f64);
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        metrics::webhook_retried(name()).set(retried as f64);
        let mut health = self.courier.desk.health.lock();
        (health.behind, health.oldest_at, health.retried) = (behind, oldest_at, retried);
    }

    /// Waits a moment for what is under way, and writes down how far it is.
    async fn end(mut self) {
        let end = Instant::now() + STOP_PATIENCE;
        while let Ok(Some(came)) = timeout_at(end, self.flying.next()).await {
            self.note(came);
        }
        if let Err(error) = self.write().await {
            let webhook = &*self.courier.name;
            tracing::warn!(webhook, ?error, "it was not written down how far a webhook is");
        }
    }
}
