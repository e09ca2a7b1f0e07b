//! What the emitters of other backends publish (docs/bridge.md): every node hears all of it, and one takes
//! each message.
//!
//! Redis hands what is published to all who subscribe in one order. So nodes need not say which message
//! they mean by what is in it, which may be the same again and again: they number what they hear on each
//! subscription. They begin anew with each *mark*, which every node sets when it has connected and then
//! every ten seconds, and all hear in the same place. Who claims messages up to a number takes those that
//! nobody has claimed, and who was not connected from a mark on claims none before the next one.
//!
//! What one node has taken is done before another takes what comes later ([`Taken`]): two that each do some at
//! the same time would change the order.

use std::{convert::Infallible, sync::Arc};

use redis::Msg;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::{config::BridgeConfig, log_limit, metrics};

/// Messages that wait at most on this node, and their bytes (docs/limits.md).
const MESSAGES: usize = 10_000;
const BYTES: usize = 8_000_000;

/// Bytes that a message takes beside its own.
const BESIDE: usize = BYTES / MESSAGES;

/// How many times what was claimed at once may wait to be done.
const BATCHES: usize = 2;

/// Messages that this node has taken. As long as this is there the other nodes leave later ones alone.
#[derive(Debug)]
pub struct Taken {
    /// In the order in which they were published.
    pub messages: Vec<Emitted>,
    /// Its end says that they are done.
    _undone: oneshot::Sender<Infallible>,
}

impl Taken {
    /// These, and what ends with them.
    pub(super) fn new(messages: Vec<Emitted>) -> (Self, oneshot::Receiver<Infallible>) {
        let (undone, done) = oneshot::channel();
        (Self { messages, _undone: undone }, done)
    }
}

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
    /// Where what this node takes goes.
    pub(super) taken: mpsc::Sender<Taken>,
}

struct Subscription {
    source: Source,
    /// What the names of its channels begin with.
    beginning: String,
    pattern: String,
}

/// A message that was heard.
pub(super) struct Heard {
    pub(super) mark: Arc<Mark>,
    /// Which subscription.
    pub(super) at: usize,
    /// Its number there since the mark, from 1.
    pub(super) number: u64,
    pub(super) emitted: Emitted,
}

/// From where on messages are numbered.
pub(super) struct Mark {
    pub(super) name: String,
    /// When it was set, as Redis writes its time.
    pub(super) set: String,
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
    pub(super) fn configured(config: &BridgeConfig) -> (Self, mpsc::Receiver<Taken>) {
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
}

impl Subscription {
    fn of(source: Source, beginning: String, end: &str) -> Self {
        let pattern = format!("{beginning}{end}");
        Self { source, beginning, pattern }
    }
}
