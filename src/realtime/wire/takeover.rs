//! A polling session comes over to a websocket (Engine.IO protocol v4, "Upgrade"): what the engine still
//! owes the client is told here, then it lets go of the session, and nobody notices.

use std::{pin::pin, sync::Arc};

use futures_util::FutureExt;
use tokio::{task::coop::unconstrained, time::timeout};

use super::answers::in_our_words;
use crate::realtime::{
    connection::{Connection, Context},
    engine::{PollingSession, is_answer},
    frame,
    lane::Lane,
    link::Link,
    payload::Packets,
};

/// Has a polling session come over, after all that its client posted, with whoever is connected; none
/// when it can't.
pub(super) async fn take_over(
    context: Arc<Context>,
    link: Arc<Link>,
    lane: Arc<Lane>,
) -> Option<Vec<Arc<Connection>>> {
    let (session, polls) = (link.polling()?, link.polls()?);
    let _no_bodies = polls.body().await;
    // Who asks twice for a namespace is answered once.
    let told = timeout(context.times.connect, tell_answers(&context, &link, session, &lane)).await;
    if told.is_ok_and(|told| !told) {
        return None;
    }
    let (hooks, connections) = (context.hooks().ok()?, context.connections(&link));
    for connection in &connections {
        // Its CONNECT was answered, and the engine may not have said so yet.
        hooks.begin(connection);
    }
    let came_over = link.change_over(&lane, &context.hub)?;
    if came_over > 0 {
        context.watch.came_over();
    }
    for connection in &connections {
        connection.note_websocket();
    }
    session.close();
    Some(connections)
}

/// Tells the client who was let in and who was refused, until the engine owes no answer. False when the
/// session has ended.
async fn tell_answers(
    context: &Context,
    link: &Link,
    session: &PollingSession,
    lane: &Arc<Lane>,
) -> bool {
    loop {
        let mut poll = pin!(unconstrained(session.poll()));
        // Asked whether it has something, it always says so.
        let answer = match poll.as_mut().now_or_never() {
            Some(answer) => answer,
            None if !session.owes_an_answer() => return true,
            None => poll.await,
        };
        let Ok(body) = std::str::from_utf8(answer.body()) else { return false };
        if !answer.status().is_success() {
            return false;
        }
        for packet in Packets::of(body, session.is_v3()).flatten().filter(|it| is_answer(it)) {
            let plain = if session.is_v3() { frame::plain_error(packet) } else { None };
            let packet = plain.map_or_else(|| in_our_words(context, link, packet), Into::into);
            lane.send((&frame::text(&[&packet])).into());
        }
        session.takes(body);
    }
}
