//! Questions to the store that come at the same time and are answered together: who asks alone waits for
//! nobody, and what thousands ask at once is a few large questions instead of thousands of small ones.

use std::{collections::VecDeque, sync::Arc};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};

use crate::{
    error::{Code, Error, Result},
    tasks::Tasks,
};

/// Questions that wait for the next batch. Cheap to clone.
pub struct Batches<Q, A>(Arc<Inner<Q, A>>);

struct Inner<Q, A> {
    name: &'static str,
    most: usize,
    waiting: Mutex<VecDeque<Pending<Q, A>>>,
    turns: Arc<Semaphore>,
    answer: Answer<Q, A>,
    tasks: Tasks,
}

type Pending<Q, A> = (Q, oneshot::Sender<Result<A>>);

/// Answers questions, in their order.
type Answer<Q, A> = Box<dyn Fn(Vec<Q>) -> BoxFuture<'static, Result<Vec<A>>> + Send + Sync>;

impl<Q, A> Clone for Batches<Q, A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<Q: Clone + Send + 'static, A: Send + 'static> Batches<Q, A> {
    /// At most so many questions in a batch, and so many batches at a time, each in a task of this name.
    pub fn new<F>(
        name: &'static str,
        (most, at_a_time): (usize, usize),
        tasks: &Tasks,
        answer: impl Fn(Vec<Q>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Vec<A>>> + Send + 'static,
    {
        let turns = Arc::new(Semaphore::new(at_a_time));
        let answer: Answer<Q, A> = Box::new(move |questions| Box::pin(answer(questions)));
        Self(Arc::new(Inner {
            name,
            most,
            waiting: Mutex::default(),
            turns,
            answer,
            tasks: tasks.clone(),
        }))
    }

    /// The answer.
    ///
    /// # Errors
    /// Those of answering it alone; [`Code::Unavailable`] also where it was one of several.
    pub async fn ask(&self, question: Q) -> Result<A> {
        let (answer, mut answered) = oneshot::channel();
        self.0.waiting.lock().push_back((question, answer));
        let lost = |_| Error::internal("a batch ended without an answer");
        loop {
            let turn = tokio::select! {
                biased;
                answer = &mut answered => return answer.map_err(lost)?,
                turn = self.0.turns.clone().acquire_owned() => turn.map_err(Error::internal)?,
            };
            let batch = self.0.next();
            if batch.is_empty() {
                drop(turn);
                return answered.await.map_err(lost)?;
            }
            let this = self.0.clone();
            // Whoever has the turn may go; the others still wait.
            self.0.tasks.spawn(self.0.name, async move {
                this.answer(batch).await;
                drop(turn);
            });
        }
    }
}

impl<Q: Clone, A> Inner<Q, A> {
    /// Those who wait longest; nobody who has gone.
    fn next(&self) -> Vec<Pending<Q, A>> {
        let (mut waiting, mut batch) = (self.waiting.lock(), Vec::new());
        while batch.len() < self.most
            && let Some(pending) = waiting.pop_front()
        {
            if !pending.1.is_closed() {
                batch.push(pending);
            }
        }
        batch
    }

    /// Answers together; where one of them may be why that fails, each alone.
    async fn answer(&self, batch: Vec<Pending<Q, A>>) {
        let (questions, askers): (Vec<Q>, Vec<_>) = batch.into_iter().unzip();
        // Whoever asked may have gone meanwhile.
        let tell = |asker: oneshot::Sender<_>, answer| drop(asker.send(answer));
        match (self.answer)(questions.clone()).await {
            Ok(answers) => {
                for (asker, answer) in askers.into_iter().zip(answers) {
                    tell(asker, Ok(answer));
                }
            }
            Err(error) if error.code() == Code::Unavailable => {
                let mut askers = askers.into_iter();
                let first = askers.next();
                for asker in askers {
                    tell(asker, Err(error.for_another()));
                }
                if let Some(asker) = first {
                    tell(asker, Err(error));
                }
            }
            Err(_) => {
                for (question, asker) in questions.into_iter().zip(askers) {
                    let alone = (self.answer)(vec![question]).await;
                    let none = || Error::internal("a batch ended without an answer");
                    tell(asker, alone.and_then(|mut answers| answers.pop().ok_or_else(none)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, time::Duration};

    use futures_util::{FutureExt, future::join_all};
    use tokio::sync::mpsc;

    use super::*;

    /// What a batch is asked, and its leave to answer.
    type Begun = (Vec<u32>, oneshot::Sender<()>);

    /// Batches of at most three that tell what they are asked, and wait until they may answer.
    fn batches() -> (Batches<u32, u32>, mpsc::UnboundedReceiver<Begun>) {
        let (begun, begins) = mpsc::unbounded_channel();
        let answer = move |questions: Vec<u32>| {
            let (go_on, may_go_on) = oneshot::channel();
            begun.send((questions.clone(), go_on)).unwrap();
            async move {
                may_go_on.await.unwrap();
                Ok(questions.into_iter().map(|question| question * 10).collect())
            }
        };
        (Batches::new("batch", (3, 1), &Tasks::default(), answer), begins)
    }

    #[tokio::test]
    async fn one_goes_at_once_and_those_who_come_meanwhile_go_together() {
        let (batches, mut begins) = batches();
        let mut first = pin!(batches.ask(0));
        assert!(first.as_mut().now_or_never().is_none());
        let (asked, go_on) = begins.recv().await.unwrap();
        assert_eq!(asked, [0]);
        let mut others = pin!(join_all((1..=5).map(|question| batches.ask(question))));
        assert!(others.as_mut().now_or_never().is_none());
        assert!(begins.try_recv().is_err(), "it is not their turn");
        go_on.send(()).unwrap();
        assert_eq!(first.await.unwrap(), 0);
        for expected in [vec![1, 2, 3], vec![4, 5]] {
            let begun = tokio::select! { begun = begins.recv() => begun, _ = &mut others => None };
            let (asked, go_on) = begun.unwrap();
            assert_eq!(asked, expected);
            go_on.send(()).unwrap();
        }
        let answers: Vec<_> = others.await.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers, [10, 20, 30, 40, 50]);
    }

    #[tokio::test]
    async fn who_goes_away_is_passed_over_and_leaves_the_others_with_their_answers() {
        let (batches, mut begins) = batches();
        let mut leading = Box::pin(batches.ask(1));
        assert!(leading.as_mut().now_or_never().is_none());
        let (_, go_on) = begins.recv().await.unwrap();
        let mut waiting = Box::pin(batches.ask(2));
        let mut last = pin!(batches.ask(3));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(last.as_mut().now_or_never().is_none());
        drop(leading);
        drop(waiting);
        go_on.send(()).unwrap();
        let begun = tokio::select! { begun = begins.recv() => begun, _ = &mut last => None };
        let (asked, go_on) = begun.unwrap();
        assert_eq!(asked, [3]);
        go_on.send(()).unwrap();
        assert_eq!(last.await.unwrap(), 30);
    }

    #[tokio::test]
    async fn one_bad_question_costs_the_others_nothing_and_an_outage_is_everybodys() {
        let (go_on, may_go_on) = oneshot::channel::<()>();
        let first = Mutex::new(Some(may_go_on));
        let answer = move |questions: Vec<u32>| {
            let wait = first.lock().take();
            async move {
                if let Some(wait) = wait {
                    wait.await.unwrap();
                }
                match questions.iter().max() {
                    Some(7) => Err(Error::new(Code::Conflict, "7 is bad")),
                    Some(9) => {
                        let away = Error::new(Code::Unavailable, "away").with_cause("no answer");
                        Err(away.with_retry_after(Duration::from_secs(3)))
                    }
                    _ => Ok(questions),
                }
            }
        };
        let batches = Batches::new("batch", (3, 1), &Tasks::default(), answer);
        let mut all = pin!(join_all([0, 1, 7, 2, 3, 9, 4].map(|question| batches.ask(question))));
        assert!(all.as_mut().now_or_never().is_none());
        go_on.send(()).unwrap();
        let answers = all.await;
        let away = |it: &Result<u32>| it.as_ref().is_err_and(|no| no.code() == Code::Unavailable);
        let away: Vec<_> =
            answers.iter().filter(|it| away(it)).map(|it| it.as_ref().err()).collect();
        assert!(away.iter().flatten().all(|no| no.retry_after() == Some(Duration::from_secs(3))));
        assert_eq!(
            away.iter().flatten().filter(|no| no.causes().is_some()).count(),
            1,
            "one log line"
        );
        let answers: Vec<_> = answers.into_iter().map(|it| it.map_err(|no| no.code())).collect();
        let (bad, away) = (Err(Code::Conflict), Err(Code::Unavailable));
        assert_eq!(answers, [Ok(0), Ok(1), bad, Ok(2), away, away, away]);
    }
}
