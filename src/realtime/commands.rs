//! What clients may ask: a table from event name to command, for each namespace. Rooms fill it,
//! the inbound door reads it.

use std::{collections::HashMap, future::Future, pin::Pin, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::connection::Connection;
use crate::{
    error::{Error, Result},
    event::{ByNamespace, ClientEvent, EventClass, Namespace},
    http::json,
};

/// An acknowledgement's JSON.
pub(super) type Answer = Pin<Box<dyn Future<Output = Result<Box<str>>> + Send>>;

type Run = Box<dyn Fn(Arc<Connection>, &RawValue) -> Answer + Send + Sync>;

/// One thing that clients may ask.
pub(super) struct Command {
    pub(super) name: &'static str,
    pub(super) class: EventClass,
    pub(super) run: Run,
}

/// Everything that clients may ask, by namespace and name.
#[derive(Default)]
pub struct Commands(ByNamespace<HashMap<&'static str, Arc<Command>>>);

impl Commands {
    /// Does `handler` for an event, with a service of its own: the payload that the event's
    /// declaration names is read, and the answer that it names acknowledged.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use stoa::{
    ///     chat::events::marketplace::LEAVE_CHAT_ROOM,
    ///     error::Result,
    ///     id::Id,
    ///     realtime::{Commands, Connection, events::RoomChanged},
    ///     room::Room,
    /// };
    ///
    /// fn commands(commands: &mut Commands) {
    ///     commands.on(LEAVE_CHAT_ROOM, &(), leave_chat_room);
    /// }
    ///
    /// async fn leave_chat_room((): (), connection: Arc<Connection>, id: Id) -> Result<RoomChanged> {
    ///     let room = Room::Chat(id);
    ///     connection.leave(&room);
    ///     Ok(RoomChanged::of(room))
    /// }
    /// ```
    ///
    /// One that takes something else does not compile:
    ///
    /// ```compile_fail,E0631
    /// # use std::sync::Arc;
    /// # use stoa::{
    /// #     chat::events::marketplace::LEAVE_CHAT_ROOM,
    /// #     error::Result,
    /// #     realtime::{Commands, Connection, events::RoomChanged},
    /// #     room::Room,
    /// # };
    /// # fn commands(commands: &mut Commands) {
    /// #     commands.on(LEAVE_CHAT_ROOM, &(), leave_chat_room);
    /// # }
    /// async fn leave_chat_room((): (), connection: Arc<Connection>, room: Room) -> Result<RoomChanged> {
    ///     connection.leave(&room);
    ///     Ok(RoomChanged::of(room))
    /// }
    /// ```
    ///
    /// nor one that answers with something else:
    ///
    /// ```compile_fail,E0271
    /// # use std::sync::Arc;
    /// # use stoa::{
    /// #     chat::events::marketplace::LEAVE_CHAT_ROOM,
    /// #     error::Result,
    /// #     id::Id,
    /// #     realtime::{Commands, Connection, events::Done},
    /// #     room::Room,
    /// # };
    /// # fn commands(commands: &mut Commands) {
    /// #     commands.on(LEAVE_CHAT_ROOM, &(), leave_chat_room);
    /// # }
    /// async fn leave_chat_room((): (), connection: Arc<Connection>, id: Id) -> Result<Done> {
    ///     connection.leave(&Room::Chat(id));
    ///     Ok(Done::default())
    /// }
    /// ```
    pub fn on<P, A, S, F, Fut>(&mut self, event: ClientEvent<P, A>, service: &S, handler: F)
    where
        P: DeserializeOwned + Send + 'static,
        A: Serialize,
        S: Clone + Send + Sync + 'static,
        F: Fn(S, Arc<Connection>, P) -> Fut + Copy + Send + Sync + 'static,
        Fut: Future<Output = Result<A>> + Send + 'static,
    {
        let service = Arc::new(service.clone());
        let run = move |connection: Arc<Connection>, payload: &RawValue| -> Answer {
            let payload = json::decode::<P>(payload.get().as_bytes());
            let service = service.clone();
            // Nothing is done before the connection's queue comes to it.
            Box::pin(async move {
                let answer = handler(S::clone(&service), connection, payload?).await?;
                serde_json::to_string(&answer).map(Into::into).map_err(Error::internal)
            })
        };
        let name = event.event().name;
        let command = Arc::new(Command { name, class: event.class(), run: Box::new(run) });
        for namespace in event.event().dialect.namespaces().iter() {
            self.0[namespace].insert(name, command.clone());
        }
    }

    pub(super) fn find(&self, namespace: Namespace, name: &str) -> Option<&Arc<Command>> {
        self.0[namespace].get(name)
    }
}
