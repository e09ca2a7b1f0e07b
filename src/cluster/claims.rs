//! Which node takes what emitters publish: marks, from which all number what they hear, and claims. One node
//! at a time has claimed what is not done yet, or what comes later could be done before it.

use std::{convert::Infallible, future::pending, sync::Arc, time::Duration};

use redis::{RedisError, aio::MultiplexedConnection};
use tokio::{
    sync::mpsc::{self, OwnedPermit},
    time::sleep,
};

use super::{
    emitters::{Heard, Mark, Taken},
    names::Kind,
    shared::{Away, Shared},
};
use crate::{id::Ids, metrics, tasks::Tasks};

/// Messages that are claimed at once.
const AT_ONCE: usize = 100;

/// Whose turn it is, for how long at most where it has ended or stands still, and how often the others ask.
const TURN: &str = "turn";
const LEASE: Duration = Duration::from_secs(5);
const ASK_INTERVAL: Duration = Duration::from_millis(10);

/// How often a mark is set, for how long messages after it may be claimed, and until when it is known which
/// were.
const MARK_INTERVAL: Duration = Duration::from_secs(10);
const LATE: Duration = Duration::from_secs(30);
const KNOWN: Duration = Duration::from_mins(1);

/// Claims what is heard, as fast as it is done.
pub(super) async fn claim(
    mut heard: mpsc::UnboundedReceiver<Heard>,
    shared: &Arc<Shared>,
    tasks: &Tasks,
) -> Result<Infallible, Away> {
    let Some(emitters) = shared.emitters.get() else { return pending().await };
    loop {
        // What is claimed has a place to go to.
        let place = emitters.taken.clone().reserve_owned().await;
        let Ok(place) = place else { return pending().await };
        let mut some = Vec::new();
        if heard.recv_many(&mut some, AT_ONCE).await == 0 {
            return pending().await;
        }
        let mut unclaimed = Some((some, place));
        while let Some((some, place)) = unclaimed {
            // A task, since what Redis was asked for is this node's also where the server stops now.
            let take = tasks.spawn("claim", take(shared.clone(), tasks.clone(), some, place)).await;
            unclaimed = take.unwrap_or(Err(Away))?;
            if unclaimed.is_some() {
                sleep(ASK_INTERVAL).await;
            }
        }
    }
}

type Unclaimed = (Vec<Heard>, OwnedPermit<Taken>);

/// Takes those of the messages that nobody has taken; none of them where it is another node's turn.
async fn take(
    shared: Arc<Shared>,
    tasks: Tasks,
    heard: Vec<Heard>,
    place: OwnedPermit<Taken>,
) -> Result<Option<Unclaimed>, Away> {
    let Some(emitters) = shared.emitters.get() else { return Ok(None) };
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
    let turn = format!("{} {}", shared.names.node, Ids.next().simple());
    let mut script = shared.scripts.claim.prepare_invoke();
    script.key(shared.names.key(TURN));
    script.arg(&shared.names.node).arg(&turn).arg(millis(LEASE));
    script.arg(millis(LATE)).arg(millis(KNOWN));
    for (mark, at, last) in &places {
        let Some(pattern) = emitters.patterns().nth(*at) else { continue };
        script.key(shared.names.key(&format!("claim:{}:{pattern}", mark.name)));
        script.arg(&mark.set).arg(last);
    }
    let taken: Vec<u64> = shared.ask(async |redis| script.invoke_async(redis).await).await?;
    if taken.is_empty() {
        return Ok(Some((heard, place)));
    }
    let places: Vec<_> =
        places.iter().map(|(mark, at, _)| (Arc::as_ptr(mark), *at)).zip(taken).collect();
    let is_ours = |heard: &Heard| {
        let place = (Arc::as_ptr(&heard.mark), heard.at);
        places.iter().any(|(other, taken)| *other == place && heard.number > *taken)
    };
    let messages: Vec<_> = heard.into_iter().filter(is_ours).map(|heard| heard.emitted).collect();
    if !messages.is_empty() {
        let (taken, done) = Taken::new(messages);
        place.send(taken);
        tasks.spawn("turn", async move {
            // Ends with what was taken, which says nothing.
            let _ = done.await;
            end(&shared, &turn).await;
        });
    }
    Ok(None)
}

/// It is anybody's turn, unless this node has taken more meanwhile.
async fn end(shared: &Shared, turn: &str) {
    let mut script = shared.scripts.done.prepare_invoke();
    script.key(shared.names.key(TURN)).arg(turn);
    // Where Redis is away the turn ends by itself.
    let _: Result<(), Away> = shared.ask(async |redis| script.invoke_async(redis).await).await;
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
