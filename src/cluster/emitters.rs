//! What the emitters of other backends publish (docs/bridge.md): every node hears all of it, and one takes
//! each message.
//!
//! Redis hands what is published to all who subscribe in one order. So nodes need not say which message
//! they mean by what is in it, which may be the same again and again: they number what they hear on each
//! subscription. They begin anew with each *mark*, which every node sets when it has connected and then
//! every ten seconds, and all hear in the same place. Who claims messages up to a number takes those that
//! nobody has claimed, and who was not connected from a mark on claims none before the next one.

use std::{convert::Infallible, future::pending, sync::Arc, time::Duration};

use redis::{Msg, RedisError, aio::MultiplexedConnection};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::sleep,
};

use super::{
    names::Kind,
    shared::{Away, Shared},
};
use crate::{config::BridgeConfig, id::Ids, log_limit, metrics};

/// Messages that wait at most on this node, and their bytes (docs/limits.md).
const MESSAGES: usize = 10_000;
const BYTES: usize = 8_000_000;

/// Bytes that a message takes beside its own.
const BESIDE: usize = BYTES / MESSAGES;

/// Messages that are claimed at once, and how many times that may wait to be done.
const AT_ONCE: usize = 100;
const BATCHES: usize = 2;

/// How often a mark is set, for how long messages after it may be claimed, and until when it is known which
/// were.
const MARK_INTERVAL: Duration = Duration::from_secs(10);
const LATE: Duration = Duration::from_secs(30);
const KNOWN: Duration = Duration::from_secs(60);

/// A message that this node has taken.
#[derive(Debug)]
pub struct Emitted {
    /// Who published it.
    pub source: Source,
    /// What its channel is called after the beginning that all of its kind have.
    pub channel: String,
    /// What was published.
    pub payload: Vec<u8>,
    /// Its share of the bytes that may wait.
    _space: OwnedSemaphorePermit,
}

/// Who publishes, and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `@socket.io/redis-emitter`: events.
    NodeEvents,
    /// `@socket.io/redis-emitter`: what is asked of servers.
    NodeRequests,
    /// A manager of python-socketio: either.
    Python,
}

impl Source {
    /// As metrics and the log name the emitter.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::NodeEvents | Self::NodeRequests => "node",
            Self::Python => "python",
        }
    }
}

/// What is subscribed to, and where it goes.
pub(super) struct Emitters {
    subscriptions: Vec<Subscription>,
    space: Arc<Semaphore>,
    taken: mpsc::Sender<Vec<Emitted>>,
}

struct Subscription {
    source: Source,
    /// What the names of its channels begin with.
    beginning: String,
    pattern: String,
}

/// A message that was heard.
pub(super) struct Heard {
    mark: Arc<Mark>,
    /// Which subscription.
    at: usize,
    /// Its number there since the mark, from 1.
    number: u64,
    emitted: Emitted,
}

struct Mark {
    name: String,
    /// When it was set, as Redis writes its time.
    set: String,
}

/// How messages are numbered on one connection.
#[derive(Default)]
pub(super) struct Numbers {
    mark: Option<Arc<Mark>>,
    /// Of each subscription.
    last: [u64; 3],
}

impl Numbers {
    /// From a mark on.
    pub(super) fn begin(&mut self, mark: &[u8]) {
        let mark = std::str::from_utf8(mark).ok().and_then(|mark| mark.split_once(' '));
        let mark = mark.map(|(name, set)| Mark { name: name.to_owned(), set: set.to_owned() });
        *self = Self { mark: mark.map(Arc::new), last: [0; 3] };
    }
}

impl Emitters {
    /// As configured, and where what is taken arrives.
    pub(super) fn configured(config: &BridgeConfig) -> (Self, mpsc::Receiver<Vec<Emitted>>) {
        let BridgeConfig { key, channel, .. } = config;
        let key = key.iter().flat_map(|key| {
            let begin = |source, beginning| Subscription::of(source, beginning, "*");
            [
                begin(Source::NodeEvents, format!("{key}#")),
                begin(Source::NodeRequests, format!("{key}-request#")),
            ]
        });
        // A pattern of one channel: what comes by patterns is of emitters.
        let channel = channel.iter().map(|name| Subscription::of(Source::Python, name.clone(), ""));
        let (taken, arrives) = mpsc::channel(BATCHES);
        let space = Arc::new(Semaphore::new(BYTES));
        (Self { subscriptions: key.chain(channel).collect(), space, taken }, arrives)
    }

    /// What is subscribed to. No name of it has a letter that patterns give a meaning.
    pub(super) fn patterns(&self) -> impl Iterator<Item = &str> {
        self.subscriptions.iter().map(|subscription| subscription.pattern.as_str())
    }

    /// Takes note of a message: its number, and itself where there is space for it and it could be
    /// claimed.
    pub(super) fn hear(&self, message: &Msg, numbers: &mut Numbers) -> Option<Heard> {
        let pattern: String = message.get_pattern().ok()?;
        let at = self.patterns().position(|other| other == pattern)?;
        let number = numbers.last.get_mut(at)?;
        *number += 1;
        let (number, mark) = (*number, numbers.mark.clone()?);
        let Subscription { source, beginning, .. } = &self.subscriptions[at];
        let payload = message.get_payload_bytes();
        let bytes = u32::try_from(payload.len() + BESIDE).unwrap_or(u32::MAX);
        let Ok(space) = self.space.clone().try_acquire_many_owned(bytes) else {
            metrics::bridge_messages(source.label(), "dropped").increment(1);
            if let Some(left_out) = log_limit::admit("bridge", None, "dropped") {
                tracing::warn!(left_out, "emitters publish more than can be done; it is dropped");
            }
            return None;
        };
        let channel = message.get_channel_name().strip_prefix(beginning).unwrap_or_default();
        let emitted = Emitted {
            source: *source,
            channel: channel.to_owned(),
            payload: payload.to_owned(),
            _space: space,
        };
        Some(Heard { mark, at, number, emitted })
    }

    /// Takes those of the messages that nobody has taken.
    async fn take(&self, shared: &Shared, heard: Vec<Heard>) -> Result<Vec<Emitted>, Away> {
        let mut places: Vec<(&Arc<Mark>, usize, u64)> = Vec::new();
        for Heard { mark, at, number, .. } in &heard {
            let is_same = |(other, place, _): &&mut (&Arc<Mark>, usize, u64)| {
                Arc::ptr_eq(other, mark) && place == at
            };
            match places.iter_mut().rev().find(is_same) {
                Some((_, _, last)) => *last = *number,
                None => places.push((mark, *at, *number)),
            }
        }
        let mut script = shared.scripts.claim.prepare_invoke();
        script.arg(millis(LATE)).arg(millis(KNOWN));
        for (mark, at, last) in &places {
            let Subscription { pattern, .. } = &self.subscriptions[*at];
            script.key(shared.names.key(&format!("claim:{}:{pattern}", mark.name)));
            script.arg(&mark.set).arg(last);
        }
        let taken: Vec<u64> = shared.ask(async |redis| script.invoke_async(redis).await).await?;
        let places: Vec<_> =
            places.iter().map(|(mark, at, _)| (Arc::as_ptr(mark), *at)).zip(taken).collect();
        let is_ours = |heard: &Heard| {
            let place = (Arc::as_ptr(&heard.mark), heard.at);
            places.iter().any(|(other, taken)| *other == place && heard.number > *taken)
        };
        Ok(heard.into_iter().filter(is_ours).map(|heard| heard.emitted).collect())
    }
}

impl Subscription {
    fn of(source: Source, beginning: String, end: &str) -> Self {
        let pattern = format!("{beginning}{end}");
        Self { source, beginning, pattern }
    }
}

/// Claims what is heard, as fast as it is done.
pub(super) async fn claim(
    mut heard: mpsc::UnboundedReceiver<Heard>,
    shared: &Shared,
) -> Result<Infallible, Away> {
    let Some(emitters) = shared.emitters.get() else { return pending().await };
    loop {
        // What is claimed has a place to go to.
        let Ok(place) = emitters.taken.reserve().await else { return pending().await };
        let mut some = Vec::new();
        if heard.recv_many(&mut some, AT_ONCE).await == 0 {
            return pending().await;
        }
        let taken = emitters.take(shared, some).await?;
        if !taken.is_empty() {
            place.send(taken);
        }
    }
}

/// Sets a mark, where emitters are heard: what is published once this has returned comes after it.
pub(super) async fn mark(
    shared: &Shared,
    commands: &mut MultiplexedConnection,
) -> Result<(), RedisError> {
    if shared.emitters.get().is_none() {
        return Ok(());
    }
    let mut script = shared.scripts.mark.prepare_invoke();
    script.arg(shared.names.channel(Kind::Mark)).arg(Ids.next().simple().to_string());
    let () = script.invoke_async(commands).await?;
    metrics::cluster_published(Kind::Mark.label()).increment(1);
    Ok(())
}

/// Sets marks, again and again.
pub(super) async fn keep_marking(
    shared: &Shared,
    mut commands: MultiplexedConnection,
) -> Result<Infallible, RedisError> {
    loop {
        sleep(MARK_INTERVAL).await;
        mark(shared, &mut commands).await?;
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}
