//! One life of a courier: it reads events, calls the backend for several streams at once, and writes
//! down how far it is.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};

use super::{
    Courier, WRITE_INTERVAL,
    came::{Came, Of},
    desk::{Health, PAUSE},
    queue::{self, Queue, Turn},
    settle::{self, Written},
    waits::wait,
};
use crate::{
    clock::Timestamp,
    db::{Reach, Tx},
    error::{Error, Result},
    metrics,
    webhooks::{
        endpoint::{Failure, Outcome},
        store::{
            deliveries::Tried,
            progress::{self, Progress},
        },
    },
};

/// How long calls that are under way have when the server stops.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// What was read longer ago is read again before the backend is called: it may be edited or deleted since.
const FRESH: Duration = Duration::from_secs(1);

/// How often what was put aside long ago is forgotten.
const FORGET_INTERVAL: Duration = Duration::from_hours(1);

/// One life of a courier: until somebody else has changed what is kept of its webhook.
pub(super) struct Round {
    courier: Arc<Courier>,
    progress: Progress,
    /// How far it is in the store, and how it goes.
    written: Progress,
    told: Health,
    /// When it is looked whether somebody else has changed something.
    look_at: Instant,
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

impl Round {
    pub(super) async fn begin(courier: Arc<Courier>) -> Result<Self> {
        let (progress, queue, lowest) = settle::load(&courier.db, &courier.name).await?;
        courier.needs.set(courier.place, progress.position, lowest);
        courier.desk.health.lock().off_at = progress.off_at;
        let has_more = queue.sizes().1 >= queue::MOST_HEADS;
        let now = Instant::now();
        Ok(Self {
            courier,
            progress,
            written: progress,
            told: Health::default(),
            look_at: now,
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
    pub(super) async fn deliver(&mut self, reached: &mut watch::Receiver<Reach>) {
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
            if self.is_doubtful || self.is_outdated().await {
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
                () = desk.wake.notified() => self.look_at = Instant::now(),
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// Whether somebody else has changed what is kept.
    async fn is_outdated(&mut self) -> bool {
        if Instant::now() < self.look_at {
            return false;
        }
        self.look_at = Instant::now() + PAUSE;
        let name = self.courier.name.clone();
        let unit = async move |tx: &mut Tx<'_>| Ok(progress::find(tx, &name).await?.changes);
        let changes = self.courier.db.read(unit).await;
        changes.is_ok_and(|changes| changes != self.progress.changes)
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
                    if delivery.read_at.until(now) < FRESH {
                        Box::pin(courier.tell(delivery, 0))
                    } else {
                        Box::pin(courier.tell_again(delivery.position, 0))
                    }
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
        let has_changes =
            self.queue.has_changes() || progress != self.written || self.news().is_some();
        let write = has_changes.then_some(self.write_at);
        let probe = self.probe.filter(|_| is_on).map(|(at, _)| wait(at));
        let wakes = [retry, probe, write, Some(self.forget_at), Some(self.look_at)];
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
        let news = self.news();
        let is_same = !self.queue.has_changes() && progress == self.written;
        if is_same && !self.has_more && news.is_none() {
            return Ok(());
        }
        let health = news.as_ref().map(serde_json::to_string).transpose();
        let health = health.map_err(Error::internal)?;
        let (name, changes) = (self.courier.name.clone(), self.queue.changes());
        let more = self.has_more && self.queue.sizes().1 < queue::MOST_HEADS / 2;
        let unit = async move |tx: &mut Tx<'_>| {
            let Some(written) = settle::write(tx, &name, progress, &changes).await? else {
                return Ok(None);
            };
            if let Some(health) = health {
                progress::tell(tx, &name, &health).await?;
            }
            let more = if more { settle::heads(tx, &name).await? } else { Vec::new() };
            Ok(Some((written, more)))
        };
        let written = self.courier.db.write(unit).await;
        // It may have been written all the same; or somebody else has changed it.
        self.is_doubtful = !matches!(written, Ok(Some(_)));
        let Some((written, heads)) = written? else { return Ok(()) };
        let Written { freed, heads: turned, lowest } = written;
        self.queue.wrote(freed, turned);
        if more {
            self.has_more = heads.len() >= queue::MOST_HEADS;
            self.queue.add_heads(heads);
        }
        (self.progress, self.written) = (progress, progress);
        self.told = news.unwrap_or_else(|| std::mem::take(&mut self.told));
        self.courier.needs.set(self.courier.place, progress.position, lowest);
        Ok(())
    }

    /// How it goes, where other processes do not know that yet.
    fn news(&self) -> Option<Health> {
        let health = self.courier.desk.health.lock();
        (*health != self.told).then(|| health.clone())
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
    pub(super) async fn end(mut self) {
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
