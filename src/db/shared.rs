//! What the threads and tasks of a store have in common: its time, who hears of its commits and how far,
//! and whether it does what it is asked.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, Ordering},
    },
};

use parking_lot::RwLock;
use tokio::sync::watch;
use tracing::Span;
use uuid::Uuid;

use super::{events::KeepLimits, measure::Measures, reach::Reach, tx::Retell, unit::Unit};
use crate::{
    clock::Clock,
    control::ControlListener,
    metrics,
    stream::CommittedEvent,
    tasks::Tasks,
    traces::{self, Causes},
};

/// Who is given each committed event, in commit order of its streams, with how far all of them have
/// been handed on with it.
pub type CommitListener = Arc<dyn Fn(CommittedEvent, &Reach) + Send + Sync>;

/// What the threads and tasks of a store have in common.
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) measures: Measures,
    /// What the last kept events follow from.
    pub(super) causes: Causes,
    pub(super) listener: RwLock<Option<CommitListener>>,
    pub(super) retell: OnceLock<Arc<dyn Retell>>,
    /// Who does what other processes say.
    pub(super) controlled: OnceLock<ControlListener>,
    /// Who this process is to them.
    pub(super) process: Uuid,
    /// Who tells other processes that this one has committed events.
    pub(super) herald: OnceLock<Arc<dyn Fn() + Send + Sync>>,
    pub(super) available: watch::Sender<bool>,
    /// Its own, which end when it is closed.
    pub(super) tasks: Tasks,
    pub(super) keep: KeepLimits,
    /// How far committed events have been handed on.
    pub(super) reach: watch::Sender<Reach>,
    /// The position after which somebody still needs the events.
    pub(super) needed_after: AtomicI64,
    /// The number after which streams begin.
    pub(super) after: AtomicI64,
}

impl Shared {
    pub(super) fn after(&self) -> i64 {
        self.after.load(Ordering::Relaxed)
    }

    /// How much is kept.
    pub(super) fn keep(&self) -> KeepLimits {
        KeepLimits { needed_after: self.needed_after.load(Ordering::Relaxed), ..self.keep }
    }

    /// Notes what made these events, for what follows from them.
    pub(super) fn note_cause(&self, unit: &dyn Unit, events: &[CommittedEvent]) {
        if let Some(cause) = unit.cause() {
            self.causes.note(&cause, events.iter().map(|event| event.position));
        }
    }

    /// Hands committed events on, in the order of their positions. When all have them, that is known.
    pub(super) fn hand_on(&self, events: Vec<CommittedEvent>, reach: &mut Reach) {
        for event in events {
            // What is not kept has no position.
            if !event.numbers.is_empty() {
                self.measures.tail_lag.record(event.created_at.until(self.clock.now()));
                reach.mark(event.position);
            }
            self.hand(event, reach);
        }
        self.reached(reach);
    }

    /// Hands on what was committed and is not kept: it has no place in the order.
    pub(super) fn hand_on_unkept(&self, events: impl Iterator<Item = CommittedEvent>) {
        let reach = self.reach.borrow().clone();
        events.for_each(|event| self.hand(event, &reach));
    }

    fn hand(&self, event: CommittedEvent, reach: &Reach) {
        let Some(listener) = self.listener.read().clone() else { return };
        let span = self.causes.of(event.position).map_or_else(Span::none, |cause| {
            let name = event.wire_events.first().map_or("", |wire_event| wire_event.event.as_str());
            let span = traces::span!("emit", event = name, position = event.position);
            cause.leads_to(&span);
            span
        });
        let heard = || span.in_scope(|| listener(event, reach));
        if catch_unwind(AssertUnwindSafe(heard)).is_err() {
            tracing::error!("a committed event was not sent: the listener panicked");
        }
    }

    /// Notes how far events have been handed on.
    pub(super) fn reached(&self, reach: &Reach) {
        self.reach.send_if_modified(|known| {
            let is_news = known != reach;
            if is_news {
                known.clone_from(reach);
            }
            is_news
        });
    }

    /// Notes whether the store does what it is asked.
    pub(super) fn report(&self, available: bool) {
        self.note(available, None);
    }

    /// Notes that it does not, and why.
    pub(super) fn lose(&self, why: &str) {
        self.note(false, Some(why));
    }

    fn note(&self, available: bool, why: Option<&str>) {
        metrics::store_available().set(f64::from(u8::from(available)));
        self.available.send_if_modified(|before| {
            let changed = *before != available;
            if changed && available {
                tracing::info!("the store is available again");
            } else if changed {
                tracing::error!(why, "the store is not available");
            }
            *before = available;
            changed
        });
    }
}
