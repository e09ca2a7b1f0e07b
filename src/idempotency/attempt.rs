//! A request with a key while it is carried out: its answer is kept in the unit that does its work.

use std::{any::Any, sync::Arc};

use axum::response::{IntoResponse, Response};
use futures_util::{FutureExt, future::LocalBoxFuture};
use parking_lot::Mutex;

use super::{
    kept::{Answer, whole},
    store::{self, Claimed},
};
use crate::{
    db::{Companion, Tx},
    error::{Code, Error, Result},
};

tokio::task_local! {
    static CURRENT: Arc<Attempt>;
}

/// How the result of a unit is answered; none when it is no such result.
type Render = Arc<dyn Fn(&(dyn Any + Send)) -> Option<Response> + Send + Sync>;

/// One attempt to carry a request out.
pub(super) struct Attempt {
    pub(super) claimed: Claimed,
    render: Mutex<Option<Render>>,
    kept: Mutex<Option<Answer>>,
}

/// Does the work of a POST and renders its answer. With an `Idempotency-Key` the answer is kept in
/// the unit that does the work, the one that gives back what the work does: once it is done, it has
/// been answered.
///
/// # Errors
/// Those of the work.
pub async fn answer<T, R>(
    work: impl Future<Output = Result<T>>,
    render: impl Fn(T) -> R + Clone + Send + Sync + 'static,
) -> Result<R>
where
    T: Clone + Send + 'static,
    R: IntoResponse,
{
    if let Ok(attempt) = CURRENT.try_with(Arc::clone) {
        let render = render.clone();
        *attempt.render.lock() = Some(Arc::new(move |done| {
            let done = done.downcast_ref::<T>()?.clone();
            Some(render(done).into_response())
        }));
    }
    work.await.map(render)
}

impl Attempt {
    pub(super) fn new(claimed: Claimed) -> Self {
        Self { claimed, render: Mutex::default(), kept: Mutex::default() }
    }

    /// Lets a handler say how its answer is rendered.
    pub(super) async fn render_in<F: Future>(self: Arc<Self>, handler: F) -> F::Output {
        CURRENT.scope(self, handler).await
    }

    /// Whether this answer was kept with the work.
    pub(super) fn has_kept(&self, answer: &Answer) -> bool {
        self.kept.lock().as_ref() == Some(answer)
    }

    async fn keep_with(&self, tx: &mut Tx<'_>, done: &(dyn Any + Send)) -> Result<()> {
        let render = self.render.lock().clone();
        let response = render.and_then(|render| render(done));
        // Failures are rendered above the handler.
        let is_own = match response.filter(|response| response.status().is_success()) {
            Some(response) => {
                let (_, answer) = whole(response).await?;
                let is_own = store::keep(tx, &self.claimed, &answer).await?;
                *self.kept.lock() = Some(answer);
                is_own
            }
            None => store::renew_claim(tx, &self.claimed).await?,
        };
        let taken = "Another request with this Idempotency-Key is carried out instead.";
        if is_own { Ok(()) } else { Err(Error::new(Code::Conflict, taken)) }
    }
}

impl Companion for Attempt {
    fn keep<'a>(
        &'a self,
        tx: &'a mut Tx<'_>,
        done: &'a (dyn Any + Send),
    ) -> LocalBoxFuture<'a, Result<()>> {
        self.keep_with(tx, done).boxed_local()
    }
}
