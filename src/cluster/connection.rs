//! The connection to Redis: made again whenever it is lost, and probed, since one that hears nothing
//! looks like one where nothing is said. What comes is handed to the rooms, what waits is sent.

use std::{convert::Infallible, future::pending, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt as _, future::BoxFuture};
use parking_lot::Mutex;
use rand::Rng as _;
use redis::{
    AsyncCommands as _, AsyncConnectionConfig, Msg, RedisError,
    aio::{MultiplexedConnection, PubSub},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::{
    sync::mpsc,
    time::{Instant, error::Elapsed, sleep, sleep_until, timeout},
};

use super::{
    asked::{Ask, Reply},
    claims,
    emitters::{Heard, Numbers},
    envelope::{self, Batch},
    names::Kind,
    server,
    shared::{Session, Shared},
};
use crate::{clock::Timestamp, id::Id, metrics, tasks::Tasks};

/// How long a connection may take, and an answer.
const CONNECT: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(2);

/// After how much silence it is probed, and how long the probe may take.
const SILENCE: Duration = Duration::from_secs(3);

/// Until it is tried again to connect: the first pause, which doubles, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A connection that was there for so long is told of, and made again at once.
const LASTED: Duration = Duration::from_secs(5);

/// How often it is told that Redis is away.
const TELL_INTERVAL: Duration = Duration::from_secs(30);

/// How often others are woken at most.
const WAKE_INTERVAL: Duration = Duration::from_millis(2);

/// Questions of other nodes that wait at most (docs/limits.md), and for how long anybody waits for an answer.
const QUESTIONS: usize = 64;
const FRESH: Duration = Duration::from_secs(1);

/// Who is told what other nodes say: the rooms, by way of the roof. Nothing but an answer waits.
pub trait Hearer: Send + Sync {
    /// Another node has committed events.
    fn woken(&self);

    /// Users came or went, whichever node said so.
    fn changed(&self, changes: Vec<Change>);

    /// What this node answers another; nothing to what it does not know.
    fn asked<'a>(&'a self, question: &'a RawValue) -> BoxFuture<'a, Option<Box<RawValue>>>;

    /// Another node has sent this; whether it could be read.
    fn heard(&self, item: &RawValue) -> bool;
}

/// A user came, or went.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    /// The user.
    pub user: Id,
    /// Whether they are here now, on whichever node.
    pub is_online: bool,
    /// When that changed.
    pub at: Timestamp,
}

/// A change as it is told.
#[derive(Deserialize)]
struct Told(Id, Ends, i64);

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Ends {
    Online,
    Offline,
}

/// Who hears what comes.
struct Ears<'a> {
    shared: &'a Shared,
    hearer: &'a dyn Hearer,
    /// What other nodes ask.
    questions: mpsc::Sender<(Ask, Instant)>,
    /// What emitters publish, and how it is numbered.
    emitted: mpsc::UnboundedSender<Heard>,
    numbers: Mutex<Numbers>,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("{0}")]
    Redis(#[from] RedisError),
    #[error("no answer in time")]
    Silent(#[from] Elapsed),
    #[error("its probe was not heard")]
    Deaf,
    #[error("the subscription ended")]
    Ended,
    #[error("it did not do what it was asked")]
    Broken,
}

impl Lost {
    /// What an operator is told.
    fn sentence(&self) -> &'static str {
        match self {
            Self::Redis(error) => server::sentence(error),
            _ => "Redis is away (REDIS_URL)",
        }
    }
}

/// Connects, again and again.
pub(super) async fn keep(shared: Arc<Shared>, hearer: Arc<dyn Hearer>, tasks: Tasks) {
    let mut pause = FIRST_PAUSE;
    let mut told: Option<Instant> = None;
    loop {
        let begun = Instant::now();
        let Err(lost) = Box::pin(attend(&shared, hearer.as_ref(), &tasks, &mut told)).await;
        let was_connected = shared.lost();
        if told.is_none_or(|told| told.elapsed() >= TELL_INTERVAL) {
            tracing::warn!(
                error = %lost,
                "{}: typing, presence and volatile events stay on their node",
                lost.sentence()
            );
            told = Some(Instant::now());
        }
        if was_connected {
            metrics::cluster_lost().increment(1);
            if begun.elapsed() >= LASTED {
                pause = FIRST_PAUSE;
            }
        }
        // Not all nodes at once.
        let share = rand::rng().random_range(0.5..1.0);
        sleep(pause.mul_f64(share)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One connection, from its beginning to its end.
async fn attend(
    shared: &Arc<Shared>,
    hearer: &dyn Hearer,
    tasks: &Tasks,
    told: &mut Option<Instant>,
) -> Result<Infallible, Lost> {
    let mut commands = connect(shared).await?;
    let mut subscription = timeout(CONNECT, subscribe(shared)).await??;
    claims::mark(shared, &mut commands).await?;
    let (broken, mut breaks) = mpsc::channel(1);
    shared.connected(Session { commands: commands.clone(), broken });
    let heard = Mutex::new(Instant::now());
    let (questions, asked) = mpsc::channel(QUESTIONS);
    let (emitted, unclaimed) = mpsc::unbounded_channel();
    let ears = Ears { shared, hearer, questions, emitted, numbers: Mutex::default() };
    tokio::select! {
        // Why it does not do what it is asked comes before what that ends.
        biased;
        Some(error) = breaks.recv() => Err(error.into()),
        lost = ears.hear(subscription.on_message(), &heard) => Err(lost),
        lost = answer(asked, shared, hearer) => lost,
        _ = claims::claim(unclaimed, shared, tasks) => Err(Lost::Broken),
        lost = claims::keep_marking(shared, commands.clone()) => Ok(lost?),
        lost = send(shared, commands.clone()) => lost,
        lost = wake(shared, commands.clone()) => lost,
        lost = probe(shared, commands, &heard) => lost,
        lost = tell(told) => lost,
    }
}

/// Tells that Redis is back, once it is plain that it does what it is asked.
async fn tell(told: &mut Option<Instant>) -> Result<Infallible, Lost> {
    sleep(LASTED).await;
    if told.take().is_some() {
        tracing::info!("Redis is back");
    }
    pending().await
}

async fn connect(shared: &Shared) -> Result<MultiplexedConnection, Lost> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(ANSWER));
    let connection = shared.client.get_multiplexed_async_connection_with_config(&config);
    // Also where it takes the connection and says nothing.
    Ok(timeout(CONNECT + ANSWER, connection).await??)
}

async fn subscribe(shared: &Shared) -> Result<PubSub, RedisError> {
    let mut subscription = shared.client.get_async_pubsub().await?;
    // First, so that whoever hears a mark hears all that is published after it.
    if let Some(emitters) = shared.emitters.get() {
        for pattern in emitters.patterns() {
            subscription.psubscribe(pattern).await?;
        }
    }
    let channels = Kind::ALL.map(|kind| shared.names.channel(kind));
    subscription.subscribe(&channels).await?;
    Ok(subscription)
}

impl Ears<'_> {
    /// Hands on what comes.
    async fn hear(&self, messages: impl Stream<Item = Msg>, heard: &Mutex<Instant>) -> Lost {
        let mut messages = std::pin::pin!(messages);
        while let Some(message) = messages.next().await {
            *heard.lock() = Instant::now();
            let emitters = self.shared.emitters.get();
            if let Some(emitters) = emitters.filter(|_| message.from_pattern()) {
                metrics::cluster_received("emitters").increment(1);
                if let Some(heard) = emitters.hear(&message, &mut self.numbers.lock()) {
                    // Who claims goes on as long as this does.
                    let _ = self.emitted.send(heard);
                }
                continue;
            }
            let Some(kind) = self.shared.names.kind(message.get_channel_name()) else { continue };
            metrics::cluster_received(kind.label()).increment(1);
            if self.hand_on(kind, message.get_payload_bytes()).is_err() {
                metrics::cluster_dropped("unreadable").increment(1);
            }
        }
        Lost::Ended
    }

    /// Hands on one message.
    fn hand_on(&self, kind: Kind, payload: &[u8]) -> serde_json::Result<()> {
        let (hearer, node) = (self.hearer, &self.shared.names.node);
        match kind {
            Kind::Wake if payload != node.as_bytes() => hearer.woken(),
            Kind::Soft => {
                let Some(batch) = envelope::read::<Batch>(payload)? else { return Ok(()) };
                if batch.n != *node {
                    if let Some(sent) = batch.t.map(Timestamp::from_millis) {
                        metrics::cluster_lag().record(sent.until(self.shared.clock.now()));
                    }
                    let unreadable = batch.b.iter().filter(|item| !hearer.heard(item)).count();
                    if unreadable > 0 {
                        metrics::cluster_dropped("unreadable").increment(unreadable as u64);
                    }
                }
            }
            Kind::Presence => {
                let told: Vec<Told> = serde_json::from_slice(payload)?;
                let change = |Told(user, to, at)| {
                    let (is_online, at) = (matches!(to, Ends::Online), Timestamp::from_millis(at));
                    Change { user, is_online, at }
                };
                hearer.changed(told.into_iter().map(change).collect());
            }
            Kind::Ask => {
                let ask = envelope::read::<Ask>(payload)?.filter(|ask| ask.n != *node);
                if let Some(ask) = ask
                    && self.questions.try_send((ask, Instant::now())).is_err()
                {
                    metrics::cluster_dropped("busy").increment(1);
                }
            }
            Kind::Reply => {
                if let Some(reply) = envelope::read::<Reply>(payload)? {
                    self.shared.asked.take(reply);
                }
            }
            Kind::Mark => self.numbers.lock().begin(payload),
            Kind::Wake | Kind::Probe => {}
        }
        Ok(())
    }
}

/// Answers what others ask, one after the other.
async fn answer(
    mut questions: mpsc::Receiver<(Ask, Instant)>,
    shared: &Shared,
    hearer: &dyn Hearer,
) -> Result<Infallible, Lost> {
    while let Some((ask, since)) = questions.recv().await {
        if since.elapsed() >= FRESH {
            continue;
        }
        let Some(answer) = hearer.asked(&ask.q).await else { continue };
        let reply = ask.reply(&shared.names.node, answer);
        let Ok(message) = serde_json::to_string(&reply) else { continue };
        let channel = shared.names.channel_of(Kind::Reply, &ask.n);
        shared.publish(Kind::Reply, &channel, message).await.map_err(|_| Lost::Broken)?;
    }
    Err(Lost::Ended)
}

/// Sends what waits.
async fn send(shared: &Shared, mut commands: MultiplexedConnection) -> Result<Infallible, Lost> {
    let channel = shared.names.channel(Kind::Soft);
    let (published, items) = (published(Kind::Soft), metrics::cluster_sent());
    loop {
        let some = shared.queue.take().await;
        let message = envelope::batch(&shared.names.node, shared.clock.now(), &some);
        let _: i64 = commands.publish(&channel, message).await?;
        published.increment(1);
        items.increment(some.len() as u64);
    }
}

/// Tells others that there is something to read.
async fn wake(shared: &Shared, mut commands: MultiplexedConnection) -> Result<Infallible, Lost> {
    let channel = shared.names.channel(Kind::Wake);
    let published = published(Kind::Wake);
    loop {
        shared.committed.notified().await;
        let _: i64 = commands.publish(&channel, &shared.names.node).await?;
        published.increment(1);
        sleep(WAKE_INTERVAL).await;
    }
}

/// Speaks to oneself where nobody else does.
async fn probe(
    shared: &Shared,
    mut commands: MultiplexedConnection,
    heard: &Mutex<Instant>,
) -> Result<Infallible, Lost> {
    let channel = shared.names.channel(Kind::Probe);
    let published = published(Kind::Probe);
    loop {
        let last = *heard.lock();
        sleep_until(last + SILENCE).await;
        if *heard.lock() > last {
            continue;
        }
        let _: i64 = commands.publish(&channel, "").await?;
        published.increment(1);
        sleep(SILENCE).await;
        if *heard.lock() == last {
            return Err(Lost::Deaf);
        }
    }
}

fn published(kind: Kind) -> ::metrics::Counter {
    metrics::cluster_published(kind.label())
}
