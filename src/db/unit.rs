//! A unit of work without its types, so that an engine can queue it, carry it out, and answer its
//! caller once it is known how the commit went.

use std::panic::AssertUnwindSafe;

use futures_util::{FutureExt, future::LocalBoxFuture};
use tokio::sync::oneshot;

use super::{Error, Kind, Result, Tx, backlog::Counted, measure::Measured};
use crate::{error, traces::Cause};

/// A unit of work and the caller who waits for it.
pub(super) trait Unit: Send {
    /// Whether the caller still waits. Who has been told that it took too long is not surprised
    /// by its being done after all.
    fn is_wanted(&self) -> bool;

    /// What its events follow from, where it is traced.
    fn cause(&self) -> Option<Cause>;

    /// Carries it out, once; whether its rows are to be kept.
    fn run<'a>(&'a mut self, tx: &'a mut Tx<'_>) -> LocalBoxFuture<'a, bool>;

    /// Tells the caller: its own refusal, else how the commit went.
    fn answer(self: Box<Self>, committed: Result<()>);
}

/// Makes a unit of a closure, with the receiver of its answer; with what is measured of it, and the
/// bytes that it carries, which are counted until it is done.
pub(super) fn unit<T, F>(
    work: F,
    measured: Option<Measured>,
    bytes: Option<Counted>,
) -> (Box<dyn Unit>, oneshot::Receiver<error::Result<T>>)
where
    F: AsyncFnOnce(&mut Tx<'_>) -> error::Result<T> + Send + 'static,
    T: Send + 'static,
{
    let (answer, receiver) = oneshot::channel();
    (Box::new(Pending { work: Some(work), done: None, answer, measured, _bytes: bytes }), receiver)
}

struct Pending<T, F> {
    work: Option<F>,
    measured: Option<Measured>,
    _bytes: Option<Counted>,
    done: Option<error::Result<T>>,
    answer: oneshot::Sender<error::Result<T>>,
}

impl<T, F> Unit for Pending<T, F>
where
    F: AsyncFnOnce(&mut Tx<'_>) -> error::Result<T> + Send + 'static,
    T: Send + 'static,
{
    fn is_wanted(&self) -> bool {
        !self.answer.is_closed()
    }

    fn cause(&self) -> Option<Cause> {
        self.measured.as_ref()?.cause()
    }

    fn run<'a>(&'a mut self, tx: &'a mut Tx<'_>) -> LocalBoxFuture<'a, bool> {
        async move {
            let Some(work) = self.work.take() else { return false };
            if let Some(measured) = &mut self.measured {
                measured.begin();
            }
            let done = work(tx).await;
            let keep = done.is_ok();
            self.done = Some(done);
            keep
        }
        .boxed_local()
    }

    fn answer(self: Box<Self>, committed: Result<()>) {
        if let Some(measured) = &self.measured {
            measured.end(&committed);
        }
        let answer = match (self.done, committed) {
            (Some(Err(refusal)), _) => Err(refusal),
            (Some(done), Ok(())) => done,
            (_, Err(error)) => Err(error.into()),
            (None, Ok(())) => Err(error::Error::internal("the unit of work has no result")),
        };
        // Whoever asked may have gone.
        let _ = self.answer.send(answer);
    }
}

/// Carries a unit out. It is lost when it refuses itself, and when a statement of it failed,
/// whatever it made of that.
pub(super) async fn carry_out(unit: &mut dyn Unit, tx: &mut Tx<'_>) -> Result<(), Lost> {
    let keep = unit.run(tx).await;
    match tx.failure() {
        Some(failure) => Err(Lost::By(failure.clone())),
        None if keep => Ok(()),
        None => Err(Lost::Refused),
    }
}

/// Catches a panic: it loses its unit and nothing else.
pub(super) async fn guard<T>(unit: impl Future<Output = Result<T, Lost>>) -> Result<T, Lost> {
    AssertUnwindSafe(unit)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Err(Lost::By(Error::new(Kind::Other, "the unit of work panicked"))))
}

/// Why a unit is not kept.
pub(super) enum Lost {
    /// It said so, and knows what to tell its caller.
    Refused,
    /// Something that it does not know of.
    By(Error),
}

impl Lost {
    /// The same for what nobody refuses.
    pub(super) fn into_error(self) -> Error {
        self.cause().err().unwrap_or_else(|| Error::new(Kind::Other, "it was refused"))
    }

    /// What [`Unit::answer`] is to be told.
    pub(super) fn cause(self) -> Result<()> {
        match self {
            Self::Refused => Ok(()),
            Self::By(error) => Err(error),
        }
    }
}

impl From<Error> for Lost {
    fn from(error: Error) -> Self {
        Self::By(error)
    }
}
