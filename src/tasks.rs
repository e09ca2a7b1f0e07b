//! The tasks of a server, which all begin here: each has a name, is ended with the server or waited
//! for, and where one panics that is logged and counted.

use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use futures_util::FutureExt;
use pin_project_lite::pin_project;
use tokio::task::JoinHandle;
use tokio_util::{
    sync::{CancellationToken, WaitForCancellationFutureOwned},
    task::TaskTracker,
};

use crate::metrics;

/// Tasks that are ended together. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tasks(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    running: TaskTracker,
    /// Whether [`Tasks::stop`] was called: it is asked often, without the token's lock.
    is_stopping: AtomicBool,
    stopping: CancellationToken,
}

impl Tasks {
    /// Begins work that goes to its end, which [`Tasks::stopped`] waits for.
    pub fn spawn<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        // Made of combinators: an async block would keep the work twice.
        let guarded = AssertUnwindSafe(work).catch_unwind().map(move |done| {
            done.unwrap_or_else(|panic| {
                tracing::error!(task = name, "a task panicked");
                metrics::task_panics(name).increment(1);
                resume_unwind(panic)
            })
        });
        self.0.running.spawn(guarded)
    }

    /// Begins what goes on until it is done, or [`Tasks::stop`] ends it where it waits.
    pub fn spawn_until_stopped(
        &self,
        name: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let stopping = self.0.stopping.clone().cancelled_owned();
        self.spawn(name, UntilStopped { tasks: self.0.clone(), stopping, is_told: false, work });
    }

    /// Tells work that goes on until then, and has something to do after it.
    pub fn stopping(&self) -> impl Future<Output = ()> + Send + use<> {
        self.0.stopping.clone().cancelled_owned()
    }

    /// Ends what goes on until then. A second call changes nothing.
    pub fn stop(&self) {
        self.0.is_stopping.store(true, Ordering::Release);
        self.0.stopping.cancel();
        self.0.running.close();
    }

    /// Waits, after [`Tasks::stop`], until no task is left.
    pub async fn stopped(&self) {
        self.0.running.wait().await;
    }
}

pin_project! {
    /// Work until it is done, or is to stop. It has the work once, where `run_until_cancelled` in an async
    /// block has it three times.
    struct UntilStopped<W> {
        tasks: Arc<Inner>,
        #[pin]
        stopping: WaitForCancellationFutureOwned,
        // Whether this is woken to stop.
        is_told: bool,
        #[pin]
        work: W,
    }
}

impl<W: Future<Output = ()>> Future for UntilStopped<W> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        // Once is enough, since a task has one waker; all tasks have one lock for it.
        let is_stopped = if *this.is_told {
            this.tasks.is_stopping.load(Ordering::Acquire)
        } else {
            *this.is_told = true;
            this.stopping.poll(cx).is_ready()
        };
        if is_stopped { Poll::Ready(()) } else { this.work.poll(cx) }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_goes_on_is_ended_and_work_is_waited_for() {
        let tasks = Tasks::default();
        tasks.spawn_until_stopped("endless", pending());
        tasks.spawn_until_stopped("busy", async {
            loop {
                tokio::task::yield_now().await;
            }
        });
        let (finish, finished) = oneshot::channel::<()>();
        let work = tasks.spawn("work", async move { finished.await.is_ok() });
        tasks.stop();
        let mut stopped = Box::pin(tasks.stopped());
        tokio::task::yield_now().await;
        assert!(stopped.as_mut().now_or_never().is_none(), "work is not done yet");
        finish.send(()).unwrap();
        stopped.await;
        assert!(work.await.unwrap());
    }

    #[test]
    fn work_that_may_be_stopped_is_kept_once() {
        let work = async {
            let large = [1_u8; 4096];
            pending::<()>().await;
            assert_eq!(large.len(), 4096);
        };
        let alone = size_of_val(&work);
        let tasks = Arc::<Inner>::default();
        let stopping = tasks.stopping.clone().cancelled_owned();
        let both = size_of_val(&UntilStopped { tasks, stopping, is_told: false, work });
        assert!(both < alone + 128, "{both} bytes for {alone}");
    }

    #[tokio::test]
    async fn a_panic_is_counted_by_the_name_of_its_task_and_told_to_who_waits_for_it() {
        let metrics = metrics::install().unwrap();
        let tasks = Tasks::default();
        let panicked = tasks.spawn("panicking", async { panic!("on purpose") }).await;
        assert!(panicked.unwrap_err().is_panic());
        tasks.stop();
        tasks.stopped().await;
        let counted = r#"stoa_task_panics_total{task="panicking"} 1"#;
        assert!(metrics.render().contains(counted), "{}", metrics.render());
    }
}
