//! What is kept in the same unit as the work of a caller who knows nothing of it.

use std::{any::Any, sync::Arc};

use futures_util::future::LocalBoxFuture;

use super::Tx;
use crate::error::Result;

tokio::task_local! {
    static CURRENT: Arc<dyn Companion>;
}

/// Takes part in every unit that writes, in the task that it accompanies.
pub trait Companion: Send + Sync {
    /// Called at the end of a unit, with what it gives back. An error undoes the unit.
    fn keep<'a>(
        &'a self,
        tx: &'a mut Tx<'_>,
        done: &'a (dyn Any + Send),
    ) -> LocalBoxFuture<'a, Result<()>>;
}

/// Lets a companion take part in what `work` writes.
pub async fn accompanied<F: Future>(by: Option<Arc<dyn Companion>>, work: F) -> F::Output {
    match by {
        Some(companion) => CURRENT.scope(companion, work).await,
        None => work.await,
    }
}

/// The companion of this task, for one that it spawns.
#[must_use]
pub fn companion() -> Option<Arc<dyn Companion>> {
    CURRENT.try_with(Arc::clone).ok()
}

/// A unit with the companion of this task.
pub(super) fn with_companion<T, F>(
    unit: F,
) -> impl AsyncFnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static
where
    F: AsyncFnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    T: Send + 'static,
{
    let companion = companion();
    async move |tx: &mut Tx<'_>| {
        let done = unit(tx).await?;
        if let Some(companion) = companion {
            companion.keep(tx, &done).await?;
        }
        Ok(done)
    }
}
