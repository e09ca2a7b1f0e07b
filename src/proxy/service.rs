//! Questions of clients, and what is done for the answers.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use tokio::time::Instant;

use super::{
    answer::EventAnswer,
    backend::{Backend, tell},
    question::{EventQuestion, Topic},
};
use crate::{
    access::{Access, Membership},
    config::ProxyConfig,
    error::{Code, Error, Result},
    event::{EventPatterns, InvalidPattern},
    id::Id,
    metrics,
    realtime::{Connection, Elsewhere, EmitService, ForeignEvent, Sockets},
    room::Room,
};

/// How often it is looked for rights that have ended.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How often it is sought who has left, where there is no space for more rights: all sockets are looked
/// at for it.
const SEEK_INTERVAL: Duration = Duration::from_secs(10);

/// Rights that are asked about at once.
const RENEWED_AT_ONCE: usize = 8;

/// The event proxy. Cheap to clone.
#[derive(Clone)]
pub struct Proxy(Arc<Inner>);

struct Inner {
    backend: Backend,
    patterns: EventPatterns,
    access: Access,
    emits: EmitService,
    sockets: Sockets,
}

impl Proxy {
    /// Has this backend asked, and does what it answers by way of these.
    ///
    /// # Errors
    /// When a pattern is none, of which a validated configuration has none.
    pub fn new(
        backend: Backend,
        config: &ProxyConfig,
        access: Access,
        emits: EmitService,
        sockets: Sockets,
    ) -> Result<Self, InvalidPattern> {
        let patterns = EventPatterns::new(&config.events)?;
        Ok(Self(Arc::new(Inner { backend, patterns, access, emits, sockets })))
    }

    /// What answers the events of clients that are not known here.
    #[must_use]
    pub fn elsewhere(&self) -> Arc<dyn Elsewhere> {
        self.0.clone()
    }

    /// Asks about rights that have ended, for ever: whoever may not be in a room any more is taken out
    /// of it.
    pub async fn renew_rights(self) {
        let mut sought = None;
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let rights = self.0.backend.rights();
            let is_time = sought.is_none_or(|sought: Instant| sought.elapsed() >= SEEK_INTERVAL);
            if is_time && rights.are_full() {
                rights.keep_of(&self.0.present().await);
                sought = Some(Instant::now());
            }
            let ended = rights.ended();
            stream::iter(ended)
                .for_each_concurrent(RENEWED_AT_ONCE, |(user, room)| self.0.renew(user, room))
                .await;
        }
    }
}

impl Elsewhere for Inner {
    fn takes(&self, event: &str) -> Option<Arc<str>> {
        self.patterns.find(event).cloned()
    }

    fn keeps_conversations(&self) -> bool {
        self.backend.asks_for_rooms()
    }

    fn ask(self: Arc<Self>, event: ForeignEvent) -> BoxFuture<'static, Result<Box<str>>> {
        async move { self.answer(&event).await }.boxed()
    }
}

impl Inner {
    async fn answer(&self, event: &ForeignEvent) -> Result<Box<str>> {
        let connection = &event.connection;
        // So that the backend can send to it alone, or to everyone else.
        connection.admit(connection.own_room())?;
        let topic = Topic { kind: "event", event: event.pattern.clone().into() };
        let identity = connection.identity();
        let question = EventQuestion::of(event, identity.as_deref());
        let answer: EventAnswer = self.backend.ask(&topic, &question).await?;
        if answer.leave.iter().any(|room| connection.counts_on(room)) {
            return Err(not_done(
                &topic,
                "leave",
                "it is a room in which this server keeps sockets",
            ));
        }
        // Before anything is done: an answer is done whole, or not at all.
        self.emits.fit(connection, &answer.emit).map_err(|at| {
            not_done(
                &topic,
                "emit",
                &format!("/emit/{at} and those before it are too much together"),
            )
        })?;
        self.access.admit_all(connection, answer.join).await.map_err(|error| {
            if error.code() != Code::Forbidden {
                return error;
            }
            not_done(&topic, "join", "it is a room of which this server decides who may enter")
        })?;
        for room in &answer.leave {
            connection.leave(room);
        }
        self.emits.answer(connection, answer.emit).await?;
        // Who has been acknowledged is in the rooms, and the others have been told.
        answer.ack
    }

    /// Who is in which room.
    async fn present(&self) -> HashSet<(Id, Room)> {
        let connections = self.sockets.all().await;
        let known = connections.iter().filter_map(|one| Some((one.user_id()?, one.rooms())));
        known
            .flat_map(|(user, rooms)| rooms.into_iter().map(move |room| (user.clone(), room)))
            .collect()
    }

    /// A user's right to a room has ended.
    async fn renew(&self, user: Id, room: Room) {
        let connections = self.sockets.in_room(&room).await;
        let theirs = |connection: &&Arc<Connection>| connection.user_id().as_ref() == Some(&user);
        let identity = connections.iter().find(theirs).and_then(|connection| connection.identity());
        let Some(identity) = identity else {
            self.backend.forget(&user, &room);
            return;
        };
        // Where it does not answer, they stay, and it is asked again.
        if let Ok(Membership::Stranger) = self.backend.renew(&identity, &room).await {
            self.access.end_lease(&user, &room).await;
        }
    }
}

/// The whole of an answer is not done, because of a part of it.
fn not_done(topic: &Topic, part: &'static str, why: &str) -> Error {
    metrics::proxy_answers_refused(part).increment(1);
    tell(topic, part, &why);
    Error::new(Code::Unavailable, "What answers this is not available; try again.")
}
