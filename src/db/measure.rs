//! What is measured of units of work: how many wait, how long, and what fails.

use std::{sync::Arc, time::Instant};

use metrics::{Gauge, Histogram};
use tracing::{Span, field::Empty};

use super::{Error, Result};
use crate::{
    metrics::{self as told, Counted},
    traces::{self, Cause},
};

/// What is measured of a store.
pub(super) struct Measures {
    pub(super) read: Arc<Measure>,
    pub(super) write: Arc<Measure>,
    pub(super) commit: Histogram,
    pub(super) tail_lag: Histogram,
}

impl Measures {
    pub(super) fn new() -> Self {
        Self {
            read: Measure::of("read"),
            write: Measure::of("write"),
            commit: told::store_commit(),
            tail_lag: told::tail_lag(),
        }
    }
}

/// What is measured of one kind of work.
pub(super) struct Measure {
    work: &'static str,
    queued: Gauge,
    wait: Histogram,
    duration: Histogram,
}

/// One unit, from when it was asked for.
pub(super) struct Measured {
    of: Arc<Measure>,
    asked: Instant,
    queued: Option<Counted>,
    /// It as it is traced, until this is dropped.
    span: Span,
}

impl Measure {
    fn of(work: &'static str) -> Arc<Self> {
        Arc::new(Self {
            work,
            queued: told::store_queued(work),
            wait: told::store_wait(work),
            duration: told::store_duration(work),
        })
    }

    /// A unit is asked for.
    pub(super) fn ask(self: &Arc<Self>) -> Measured {
        let queued = Some(Counted::by(self.queued.clone()));
        // What the server does of itself is nobody's trace.
        let span = Cause::current().map_or_else(Span::none, |_| {
            traces::span!("store", work = self.work, otel.status_code = Empty)
        });
        Measured { of: self.clone(), asked: Instant::now(), queued, span }
    }

    /// Counts what the store failed; what a statement was refused is the unit's own.
    pub(super) fn fail(&self, error: &Error) {
        if let Some(reason) = error.kind().failure() {
            told::store_errors(self.work, reason).increment(1);
        }
    }
}

impl Measured {
    /// It does not wait any more.
    pub(super) fn begin(&mut self) {
        if self.queued.take().is_some() {
            self.of.wait.record(self.asked.elapsed());
        }
    }

    /// It is answered: how its commit went.
    pub(super) fn end(&self, committed: &Result<()>) {
        self.of.duration.record(self.asked.elapsed());
        if let Err(error) = committed {
            self.of.fail(error);
            self.span.record("otel.status_code", "ERROR");
        }
    }

    /// What its events follow from, where it is traced.
    pub(super) fn cause(&self) -> Option<Cause> {
        (!self.span.is_none()).then(|| Cause::of(&self.span)).flatten()
    }
}
