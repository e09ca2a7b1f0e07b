//! What clients may ask: a table from event name to command, for each namespace. Rooms fill it,
//! the inbound door reads it.

use std::{collections::HashMap, future::Future, pin::Pin, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::connection::Connection;
use crate::{
    error::{Error, Result},
    event::{ByNamespace, Direction, EventType, Namespace},
    http::json,
    limits::EventClass,
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
    /// Does `handler` for an event: its payload is read, its answer acknowledged.
    pub fn on<P, A, F, Fut>(&mut self, event: &EventType, class: EventClass, handler: F)
    where
        P: DeserializeOwned + Send + 'static,
        A: Serialize,
        F: Fn(Arc<Connection>, P) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<A>> + Send + 'static,
    {
        debug_assert_eq!(event.direction, Direction::ClientToServer);
        let handler = Arc::new(handler);
        let run = move |connection: Arc<Connection>, payload: &RawValue| -> Answer {
            let payload = json::decode::<P>(payload.get().as_bytes());
            let handler = handler.clone();
            // Nothing is done before the connection's queue comes to it.
            Box::pin(async move {
                let answer = handler(connection, payload?).await?;
                serde_json::to_string(&answer).map(Into::into).map_err(Error::internal)
            })
        };
        let command = Arc::new(Command { name: event.name, class, run: Box::new(run) });
        for namespace in Namespace::ALL {
            if event.dialect.namespaces().contains(namespace) {
                self.0[namespace].insert(event.name, command.clone());
            }
        }
    }

    pub(super) fn find(&self, namespace: Namespace, name: &str) -> Option<&Arc<Command>> {
        self.0[namespace].get(name)
    }
}
