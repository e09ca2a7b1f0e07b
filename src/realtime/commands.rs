//! What clients may ask: a table from event name to command, for each namespace. Rooms fill it,
//! the inbound door reads it.

use std::{collections::HashMap, future::Future, pin::Pin, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::{
    Catalogue,
    connection::Connection,
    elsewhere::{Elsewhere, ForeignEvent},
    inspector::Inspector,
};
use crate::{
    error::{Code, Error, Result},
    event::{ByNamespace, ClientEvent, EventClass, EventName, Namespace},
    rest::json,
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

/// What of that the catalogue and the commands do not agree on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// An event is declared, and nothing is done for it.
    #[error("nothing is done for {0:?}")]
    Event(&'static str),
    /// Something is done for an event that is in no catalogue.
    #[error("{0:?} is not in the catalogue")]
    Command(&'static str),
}

/// Everything that clients may ask, by namespace and name.
#[derive(Default)]
pub struct Commands {
    here: ByNamespace<HashMap<&'static str, Arc<Command>>>,
    elsewhere: Option<Arc<dyn Elsewhere>>,
    /// Who answers the Admin UI, where it is set up.
    pub(super) inspector: Option<Arc<dyn Inspector>>,
}

impl Commands {
    /// None yet; what is none of them is asked of a backend, where there is one for it.
    #[must_use]
    pub fn new(elsewhere: Option<Arc<dyn Elsewhere>>) -> Self {
        Self { elsewhere, ..Self::default() }
    }

    /// Has the Admin UI let in and answered, where somebody does that.
    pub fn inspect(&mut self, inspector: Option<Arc<dyn Inspector>>) {
        self.inspector = inspector;
    }

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
                encode(&answer)
            })
        };
        self.insert(event, Box::new(run));
    }

    /// The same, but what `handler` does not find is asked of a backend, where there is one that may
    /// keep it and `is_elsewhere` says that it is not kept here.
    pub fn on_or_elsewhere<P, A, S, F, Fut, I, Is>(
        &mut self,
        event: ClientEvent<P, A>,
        service: &S,
        handler: F,
        is_elsewhere: I,
    ) where
        P: DeserializeOwned + Send + 'static,
        A: Serialize,
        S: Clone + Send + Sync + 'static,
        F: Fn(S, Arc<Connection>, P) -> Fut + Copy + Send + Sync + 'static,
        Fut: Future<Output = Result<A>> + Send + 'static,
        I: Fn(S, Arc<Connection>, P) -> Is + Copy + Send + Sync + 'static,
        Is: Future<Output = Result<bool>> + Send + 'static,
    {
        let keeps = |elsewhere: &&Arc<dyn Elsewhere>| elsewhere.keeps_conversations();
        let Some(elsewhere) = self.elsewhere.as_ref().filter(keeps).cloned() else {
            return self.on(event, service, handler);
        };
        let (name, service) = (event.event().name, service.clone());
        let run = move |connection: Arc<Connection>, payload: &RawValue| -> Answer {
            let (payload, elsewhere) = (payload.to_owned(), elsewhere.clone());
            let service = service.clone();
            Box::pin(async move {
                let read = || json::decode::<P>(payload.get().as_bytes());
                let error = match handler(service.clone(), connection.clone(), read()?).await {
                    Ok(answer) => return encode(&answer),
                    Err(error) => error,
                };
                if error.code() != Code::NotFound
                    || !is_elsewhere(service, connection.clone(), read()?).await?
                {
                    return Err(error);
                }
                elsewhere.ask(ForeignEvent::new(connection, name, name.into(), &[&payload])?).await
            })
        };
        self.insert(event, Box::new(run));
    }

    fn insert<P, A>(&mut self, event: ClientEvent<P, A>, run: Run) {
        let name = event.event().name;
        let command = Arc::new(Command { name, class: event.class(), run });
        for namespace in event.event().dialect.namespaces().iter() {
            self.here[namespace].insert(name, command.clone());
        }
    }

    /// That every event which clients may send has its command, and every command its event: rooms
    /// may forget one or the other, and a client would hear of it first.
    ///
    /// # Errors
    /// [`Unanswered`]
    pub(super) fn check(&self, catalogue: &Catalogue) -> Result<(), Unanswered> {
        for event in catalogue.iter().filter(|event| event.ack.is_some()) {
            for namespace in event.dialect.namespaces().iter() {
                self.find(namespace, event.name).ok_or(Unanswered::Event(event.name))?;
            }
        }
        let commands = Namespace::ALL.into_iter().flat_map(|namespace| self.here[namespace].keys());
        match commands.copied().find(|name| catalogue.heard(name).is_none()) {
            Some(name) => Err(Unanswered::Command(name)),
            None => Ok(()),
        }
    }

    pub(super) fn find(&self, namespace: Namespace, name: &str) -> Option<&Arc<Command>> {
        self.here[namespace].get(name)
    }

    /// Who has an event answered that is none of the catalogue, and under which pattern.
    pub(super) fn find_elsewhere(
        &self,
        catalogue: &Catalogue,
        name: &str,
    ) -> Option<(&Arc<dyn Elsewhere>, Arc<str>)> {
        let elsewhere = self.elsewhere.as_ref()?;
        // What is known in another namespace is known here.
        let is_foreign = catalogue.heard(name).is_none() && EventName::new(name).is_ok();
        Some((elsewhere, elsewhere.takes(name).filter(|_| is_foreign)?))
    }
}

fn encode(answer: &impl Serialize) -> Result<Box<str>> {
    serde_json::to_string(answer).map(Into::into).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        events,
        id::Id,
        realtime::events::{Done, REFRESH_AUTH},
    };

    events! {
        client(Conversation only) {
            /// Asks for something.
            ASK: "ask", Id => Done, rate Other;
        }
    }

    async fn ask((): (), _: Arc<Connection>, _: Id) -> Result<Done> {
        Ok(Done::default())
    }

    #[test]
    fn what_is_forgotten_is_found() {
        let catalogue = Catalogue::new(&[EVENTS]).unwrap();
        let mut commands = Commands::default();
        assert_eq!(commands.check(&catalogue), Err(Unanswered::Event("ask")));
        commands.on(ASK, &(), ask);
        assert_eq!(commands.check(&catalogue), Ok(()));
        let other = Catalogue::new(&[&[REFRESH_AUTH.event()]]).unwrap();
        assert_eq!(commands.check(&other), Err(Unanswered::Event("auth:refresh")));
        let none = Catalogue::new(&[]).unwrap();
        assert_eq!(commands.check(&none), Err(Unanswered::Command("ask")));
    }

    #[test]
    fn a_command_is_found_where_its_dialect_is_spoken() {
        let mut commands = Commands::default();
        commands.on(ASK, &(), ask);
        let found = Namespace::ALL.map(|namespace| commands.find(namespace, "ask").is_some());
        assert_eq!(found, [true, true, false]);
        assert_eq!(commands.find(Namespace::Root, "ask").unwrap().class, EventClass::Other);
    }
}
