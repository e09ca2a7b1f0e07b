//! The one door in: every event of every client comes through here, in order, and is answered
//! exactly once. Name → limits → the connection's queue → payload → command → acknowledgement.

use std::{borrow::Cow, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use serde::Deserialize;
use serde_json::value::RawValue;
use socketioxide::{
    adapter::LocalAdapter,
    handler::{MessageHandler, Value},
    socket::Socket,
};
use tracing::Instrument;

use super::{
    commands::Command,
    connection::Connection,
    events::{ClosingReason, EventFailed},
    frame::Outgoing,
    queue::{Overflow, Queue},
    session::{Guard, Sessions},
};
use crate::{
    error::{Code, Error, Result},
    limits::{EventClass, EventRates},
    metrics,
};

/// Characters of an event's name, at most (contract/events.md, "Names of events").
const MAX_NAME: usize = 128;

/// Hears the events of one connection.
pub(super) struct Inbound {
    /// Ends with the engine's socket, which this belongs to.
    pub(super) connection: Guard,
}

/// What an event asks for, and who waits for the answer.
struct Asked {
    connection: Arc<Connection>,
    ack: Option<i64>,
    /// For the error of an event without a callback.
    event: Box<str>,
}

impl MessageHandler<LocalAdapter, ()> for Inbound {
    /// Runs in the reader's task: nothing here waits.
    fn call(&self, _: Arc<Socket>, value: Value, ack: Option<i64>) {
        let Value::Str(text, attachments) = &value else { return };
        let (name, payload) = match read(text.as_str()) {
            Ok((name, payload)) => (name, payload),
            // The engine has read the name before us, so there is one.
            Err(_) => (Cow::Borrowed(""), RawValue::NULL),
        };
        let event = shown(&name).into();
        let asked = Asked { connection: self.connection.clone(), ack, event };
        let sessions = self.connection.sessions();
        let command = sessions
            .commands()
            .and_then(|commands| commands.find(self.connection.namespace(), &name).cloned());
        let class = command.as_ref().map_or(EventClass::Other, |command| command.class);
        let checked = self.check(sessions, class).and_then(|()| {
            if attachments.as_ref().is_some_and(|attachments| !attachments.is_empty()) {
                return Err(Error::invalid("", "no event takes binary data"));
            }
            command.clone().ok_or_else(|| {
                let sentence = "There is no such event in this namespace.";
                Error::new(Code::UnknownEvent, sentence)
            })
        });
        match checked {
            Ok(command) => run(asked, &command, payload, sessions.queue_length),
            Err(error) => {
                // Refusals keep their place among the answers.
                let known = command.map_or("unknown", |command| command.name);
                let refused = async move { asked.answer(known, Err(error)) };
                enqueue(&self.connection, refused, sessions.queue_length);
            }
        }
    }
}

impl Inbound {
    fn check(&self, sessions: &Sessions, class: EventClass) -> Result<()> {
        if !self.connection.may_act(sessions.clock.now()) {
            return Err(Error::new(Code::Unauthorized, "This socket's token has ended."));
        }
        if !sessions.limits.enabled {
            return Ok(());
        }
        let rates = || Box::new(EventRates::new(&sessions.limits));
        if self.connection.rates(rates).take(class) {
            Ok(())
        } else {
            Err(Error::new(Code::RateLimited, "Too many events; try again in a moment."))
        }
    }
}

fn read(text: &str) -> serde_json::Result<(Cow<'_, str>, &RawValue)> {
    // Clients may send more arguments than anyone reads.
    let arguments: smallvec::SmallVec<[&RawValue; 3]> = serde_json::from_str(text)?;
    let name = arguments.first().copied().unwrap_or(RawValue::NULL);
    let name = serde_json::from_str::<Name<'_>>(name.get())?.0;
    Ok((name, arguments.get(1).copied().unwrap_or(RawValue::NULL)))
}

/// As much of a name as one has, to tell the client of it.
fn shown(name: &str) -> &str {
    let end = name.char_indices().nth(MAX_NAME).map_or(name.len(), |(at, _)| at);
    &name[..end]
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

fn run(asked: Asked, command: &Arc<Command>, payload: &RawValue, most: usize) {
    let connection = asked.connection.clone();
    let name = command.name;
    let span = tracing::debug_span!("event", name, connection = %connection.id());
    let work = (command.run)(connection.clone(), payload);
    let answered = async move {
        let result = AssertUnwindSafe(work)
            .catch_unwind()
            .await
            .unwrap_or_else(|_| Err(Error::internal(format!("the handler of {name} panicked"))));
        asked.answer(name, result);
    };
    enqueue(&connection, answered.instrument(span), most);
}

fn enqueue(
    connection: &Arc<Connection>,
    work: impl Future<Output = ()> + Send + 'static,
    most: usize,
) {
    if let Err(Overflow) = Queue::run(connection, Box::pin(work), most) {
        metrics::queue_overflows().increment(1);
        connection.close(ClosingReason::RateLimited);
    }
}

impl Asked {
    fn answer(self, name: &'static str, result: Result<Box<str>>) {
        let outcome = result.as_ref().map_or_else(Error::code_name, |_| "ok");
        metrics::events_in(name, outcome).increment(1);
        let error = match (result, self.ack) {
            (Ok(answer), Some(id)) => return self.connection.acknowledge(id, answer),
            (Ok(_), None) => return,
            (Err(error), _) => error,
        };
        if let Some(cause) = error.cause() {
            tracing::error!(event = name, %error, %cause, "an event failed");
        } else {
            // By its code alone: the sentence may quote what was sent.
            tracing::debug!(event = name, code = error.code_name(), "an event was refused");
        }
        match self.ack {
            Some(id) => {
                let answer = serde_json::to_string(&error).unwrap_or_else(|_| "null".into());
                self.connection.acknowledge(id, answer.into());
            }
            None => self.connection.send(Outgoing::of(&EventFailed {
                event: self.event.into(),
                error: error.detail().into(),
                code: error.code(),
            })),
        }
    }
}
