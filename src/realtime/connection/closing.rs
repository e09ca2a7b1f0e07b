//! The ends of links, for those whose connections they carry: who is told, and why.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::{Instant, timeout};

use super::{Connection, Context, Hooks, Stopped};
use crate::{
    event::Namespace,
    metrics,
    realtime::{
        events::{ClosingReason, SessionClosing},
        frame::Outgoing,
        link::Link,
        polls::{LAST_WORDS, Polls, Wish},
    },
};

/// How often it is looked whether who comes in or changes over has done so, and can hear it.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// For how long it is waited for a client that is about to change over: no poll is told anything then.
const ABOUT_TO_CHANGE: Duration = Duration::from_millis(250);

impl Context {
    /// Who decides, as long as there is a server.
    pub(in crate::realtime) fn hooks(&self) -> Result<Arc<dyn Hooks>, Stopped> {
        self.hooks.get().and_then(Weak::upgrade).ok_or(Stopped)
    }

    /// The connections of a link that have not ended.
    pub(in crate::realtime) fn connections(&self, link: &Link) -> Vec<Arc<Connection>> {
        let mut connections = self.seats.find(link.shard(), link.members());
        connections.retain(|connection| !connection.has_ended());
        connections
    }

    /// The polls of a link that is a polling session.
    pub(in crate::realtime) fn polls_of(self: &Arc<Self>, link: &Arc<Link>) -> Arc<Polls> {
        let (context, link) = (self.clone(), Arc::downgrade(link));
        Arc::new(Polls::new(self.tasks.clone(), move |wish| {
            let Some(link) = link.upgrade() else { return };
            match wish {
                Wish::TooMuch => {
                    link.note_slow();
                    if context.close_because(&link, ClosingReason::SlowConsumer) {
                        metrics::slow_consumers().increment(1);
                    }
                }
                Wish::End => link.close(),
            }
        }))
    }

    /// Ends a session, and says why in each namespace that is open. False when a polling session was
    /// about to end before.
    pub(in crate::realtime) fn close_because(
        &self,
        link: &Arc<Link>,
        reason: ClosingReason,
    ) -> bool {
        if !link.begin_to_close() {
            return false;
        }
        say_and_close(link, reason, &self.connections(link));
        true
    }

    /// Ends a session because of those of its connections that are meant: they are told why, and
    /// nothing they ask for is done any more. Whoever else shares the transport comes back by
    /// themselves. Returns how many are meant and were not shut out before.
    pub(in crate::realtime) fn shut_out(
        &self,
        link: &Arc<Link>,
        reason: ClosingReason,
        is_meant: impl Fn(&Connection) -> bool,
    ) -> usize {
        let mut meant = self.connections(link);
        meant.retain(|connection| is_meant(connection) && connection.shut_out(reason));
        if !meant.is_empty() {
            // What is sent from now on is not heard, in any of its namespaces.
            link.begin_to_close();
            say_and_close(link, reason, &meant);
        }
        meant.len()
    }

    /// Ends a session when nobody is connected over it then: who was refused, or has left every
    /// namespace, does not keep it for long.
    pub(in crate::realtime) fn close_if_vacant(
        self: &Arc<Self>,
        link: &Arc<Link>,
        after: Duration,
    ) {
        if !self.connections(link).is_empty() {
            return;
        }
        let (context, link) = (self.clone(), link.clone());
        self.tasks.spawn_until_stopped("vacant session", async move {
            tokio::time::sleep(after).await;
            if context.connections(&link).is_empty() {
                link.close();
            }
        });
    }
}

impl Connection {
    /// Ends it as a network does that is cut: its client comes back by itself.
    pub fn cut(self: &Arc<Self>) {
        if let Ok(hooks) = self.hooks() {
            hooks.ended(self);
        }
        self.link.close();
    }

    /// Has it kept that it has ended, and why.
    pub(super) fn keep_end(&self, shut_out: Option<ClosingReason>, reason: &'static str) {
        let Some((recovery, session)) = self.session() else { return };
        let slow = self.link.was_slow().then_some(ClosingReason::SlowConsumer);
        let reason = shut_out.or(slow).map_or(reason, ClosingReason::as_kept);
        if self.recovers() {
            recovery.ended(session, reason);
        } else {
            // Its client can't come back to it.
            recovery.forgotten(session, reason);
        }
    }
}

fn say_and_close(link: &Arc<Link>, reason: ClosingReason, connections: &[Arc<Connection>]) {
    let Some(last) = connections.last() else { return link.close() };
    if link.lane().is_some() {
        // The first to close it would have the last word.
        let farewell = Outgoing::of(&SessionClosing::because(reason));
        for connection in connections {
            connection.send(farewell.clone());
        }
    } else {
        for connection in connections {
            connection.close(reason);
        }
    }
    let namespaces: Vec<_> = connections.iter().map(|this| this.namespace()).collect();
    let (link, last) = (link.clone(), last.clone());
    let tasks = last.context().tasks.clone();
    let closed = all_hear(&link, &namespaces);
    if closed {
        last.close_transport();
    }
    tasks.spawn_until_stopped("last words", async move {
        if closed {
            tokio::time::sleep(LAST_WORDS).await;
        } else {
            // A namespace may end meanwhile, and its words with it.
            let _ = timeout(LAST_WORDS, close_when_told(&link, &namespaces, &last)).await;
        }
        link.close();
    });
}

/// Whether what is sent to these namespaces goes out over a websocket at once.
fn all_hear(link: &Link, namespaces: &[Namespace]) -> bool {
    link.lane().is_some_and(|lane| namespaces.iter().all(|namespace| lane.is_open(*namespace)))
}

/// Closes behind what somebody is told who is still coming in or changing over, when they have. Who polls is
/// told by a poll, and who stays between the two can be told nothing.
async fn close_when_told(link: &Link, namespaces: &[Namespace], last: &Arc<Connection>) {
    let since = Instant::now();
    while !all_hear(link, namespaces) {
        let changing = || link.polls().is_some_and(|polls| polls.is_upgrading());
        if link.lane().is_none() && since.elapsed() >= ABOUT_TO_CHANGE && changing() {
            return;
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    last.close_transport();
    // What is pending goes out within the time for last words.
    std::future::pending::<()>().await;
}
