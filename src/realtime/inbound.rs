//! The one door in: every event of every client comes through here, in order, and is answered
//! exactly once. Name → limits → the connection's queue → payload → command → acknowledgement.

use std::{borrow::Cow, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use serde::Deserialize;
use serde_json::value::RawValue;
use smallvec::SmallVec;
use tracing::Instrument;

use super::{
    commands::{Answer, Commands},
    connection::{Connection, Context},
    elsewhere::ForeignEvent,
    events::{ClosingReason, EventFailed},
    frame::Outgoing,
    queue::{Next, Overflow, Pushed, Work},
    watch::{Happening, Watch},
};
use crate::{
    auth::CredentialKind,
    error::{Code, Error, Result},
    event::{EventClass, Namespace, is_reserved},
    limits::{CallerClass, EventRates},
    log_limit, metrics,
    text::well_formed,
};

/// Characters of an event's name, at most (docs/contract/events.md#names-of-events).
const MAX_NAME: usize = 128;

/// The name by which events are counted that a backend answers.
const ELSEWHERE: &str = "proxied";

/// The name by which events of the Admin UI are counted.
const OPERATORS: &str = "admin";

/// Hears the events of one connection.
struct Inbound<'a> {
    connection: &'a Arc<Connection>,
    commands: &'a Commands,
}

/// An event of the client's: its name and arguments as a list, as JSON. Runs in the reader's task:
/// nothing here waits.
pub(super) fn receive(
    connection: &Arc<Connection>,
    commands: &Commands,
    arguments: &str,
    is_binary: bool,
    ack: Option<i64>,
) {
    Inbound { connection, commands }.receive(arguments, is_binary, ack);
}

/// What an event asks for, and who waits for the answer.
struct Asked {
    connection: Arc<Connection>,
    ack: Option<i64>,
    /// For the error of an event without a callback.
    event: Box<str>,
}

impl Inbound<'_> {
    fn receive(&self, text: &str, is_binary: bool, ack: Option<i64>) {
        let read = read(text);
        let (name, payload) = match &read {
            Ok((name, payload)) => (&**name, *payload),
            Err(Unread::Name) => ("", RawValue::NULL),
            Err(Unread::Event) => return self.connection.close(ClosingReason::ProtocolError),
        };
        let event = shown(name).into();
        let asked = Asked { connection: self.connection.clone(), ack, event };
        let context = self.connection.context();
        let command = self.commands.find(self.connection.namespace(), name);
        let class = command.map_or(EventClass::Other, |command| command.class);
        self.note(name, text, class);
        let checked = self.check(context, class).and_then(|()| {
            if read.is_err() {
                return Err(Error::invalid("", "the event can't be read as JSON"));
            }
            if is_binary {
                return Err(Error::invalid("", "no event takes binary data"));
            }
            Ok(match command {
                Some(command) => {
                    let work = (command.run)(self.connection.clone(), payload);
                    (command.name, work, payload.get().len())
                }
                None if self.is_operators() => (OPERATORS, self.ask_inspector(text)?, text.len()),
                None => (ELSEWHERE, self.ask_elsewhere(name, text)?, text.len()),
            })
        });
        match checked {
            Ok((name, work, bytes)) => run(asked, name, work, bytes, context.queue_length),
            Err(error) => {
                // Refusals keep their place among the answers.
                let known = command.map_or("unknown", |command| command.name);
                let refused = async move { asked.answer(known, Err(error)) };
                enqueue(self.connection, refused, 0, context.queue_length);
            }
        }
    }

    fn is_operators(&self) -> bool {
        self.connection.namespace() == Namespace::Admin
    }

    /// Has it seen by who looks, without a token that may be in it.
    fn note(&self, name: &str, text: &str, class: EventClass) {
        if self.is_operators() {
            return;
        }
        let (id, namespace) = (self.connection.id(), self.connection.namespace());
        self.connection.context().watch.note(id, namespace, || {
            let is_shown = Watch::shows(text.len()) && class != EventClass::Refresh;
            let name = || serde_json::to_string(&[shown(name)]).ok().map(String::into);
            let text = if is_shown { Some(text.into()) } else { name() };
            text.map(Happening::Received)
        });
    }

    /// What an operator asks.
    fn ask_inspector(&self, text: &str) -> Result<Answer> {
        let inspector = self.commands.inspector.clone().ok_or_else(unknown)?;
        Ok(inspector.ask(self.connection.clone(), text.into()))
    }

    /// What a backend is asked for an event for which there is no command.
    fn ask_elsewhere(&self, name: &str, text: &str) -> Result<Answer> {
        let catalogue = &self.connection.context().catalogue;
        let found = self.commands.find_elsewhere(catalogue, name);
        let (elsewhere, pattern) = found.ok_or_else(unknown)?;
        let arguments = read_all(text).map_err(Error::internal)?;
        let event = ForeignEvent::new(self.connection.clone(), name, pattern, &arguments)?;
        Ok(elsewhere.clone().ask(event))
    }

    fn check(&self, context: &Context, class: EventClass) -> Result<()> {
        if !self.connection.may_act(context.clock.now()) {
            return Err(ended());
        }
        if !context.limits.enabled {
            return Ok(());
        }
        let rates = || Box::new(EventRates::new(&context.limits));
        if !self.connection.rates(rates).take(class) {
            return Err(Error::new(Code::RateLimited, "Too many events; try again in a moment."));
        }
        self.connection.link.give_back_packet();
        self.check_user(context, class)
    }

    /// What is stored, and what others hear of, has a rate of the user, too: they may have many
    /// sockets, and REST.
    fn check_user(&self, context: &Context, class: EventClass) -> Result<()> {
        let class = match class {
            EventClass::Message => CallerClass::Message,
            EventClass::Typing => CallerClass::Typing,
            EventClass::Join => CallerClass::Join,
            EventClass::Refresh | EventClass::Other => return Ok(()),
        };
        let Some(identity) = self.connection.identity() else { return Ok(()) };
        let class = if identity.operates() { CallerClass::Operator } else { class };
        context.callers.take(class, &(CredentialKind::Token, &identity.user_id))
    }
}

/// Why there is no event in a packet.
enum Unread {
    /// Its name is no text.
    Name,
    /// It is no event that a client would send: Node's server ends the connection.
    Event,
}

fn read(text: &str) -> Result<(Cow<'_, str>, &RawValue), Unread> {
    // Clients may send more arguments than anyone reads.
    let arguments: SmallVec<[&RawValue; 4]> =
        serde_json::from_str(text).map_err(|_| Unread::Event)?;
    let mut arguments = arguments.into_iter();
    let name = event_name(arguments.next().unwrap_or(RawValue::NULL).get())?;
    Ok((name, arguments.next().unwrap_or(RawValue::NULL)))
}

/// All arguments of an event, of which [`read`] has read the first.
fn read_all(text: &str) -> serde_json::Result<Vec<&RawValue>> {
    let mut all: Vec<&RawValue> = serde_json::from_str(text)?;
    all.drain(..all.len().min(1));
    Ok(all)
}

/// A string that is not reserved, or a number, as the parser of Node's server takes them.
fn event_name(json: &str) -> Result<Cow<'_, str>, Unread> {
    if json.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) {
        return Ok(json.into());
    }
    if !json.starts_with('"') {
        return Err(Unread::Event);
    }
    let name = match well_formed(json.as_bytes()) {
        Cow::Borrowed(_) => serde_json::from_str::<Name<'_>>(json).map(|Name(name)| name),
        Cow::Owned(formed) => serde_json::from_slice::<String>(&formed).map(Into::into),
    };
    let name = name.map_err(|_| Unread::Name)?;
    if is_reserved(&name) { Err(Unread::Event) } else { Ok(name) }
}

/// As much of a name as one has, to tell the client of it.
fn shown(name: &str) -> &str {
    let end = name.char_indices().nth(MAX_NAME).map_or(name.len(), |(at, _)| at);
    &name[..end]
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

fn unknown() -> Error {
    Error::new(Code::UnknownEvent, "There is no such event in this namespace.")
}

fn run(asked: Asked, name: &'static str, work: Answer, bytes: usize, most: usize) {
    let connection = asked.connection.clone();
    let span = tracing::debug_span!("event", name, connection = %connection.id());
    let answered = async move {
        // It may have waited in the queue.
        let result = if asked.connection.is_shut_out() {
            Err(ended())
        } else {
            AssertUnwindSafe(work)
                .catch_unwind()
                .await
                .unwrap_or_else(|_| Err(Error::internal(format!("the handler of {name} panicked"))))
        };
        asked.answer(name, result);
    };
    enqueue(&connection, answered.instrument(span), bytes, most);
}

fn ended() -> Error {
    Error::new(Code::Unauthorized, "This socket's token has ended.")
}

/// Has work done after all that the connection asked for before. What waits for nothing is done here,
/// in the reader's task; a task exists only while something waits.
fn enqueue(
    connection: &Arc<Connection>,
    work: impl Future<Output = ()> + Send + 'static,
    bytes: usize,
    most: usize,
) {
    let pushed = {
        let mut queue = connection.queue();
        let pushed = queue.push(Box::pin(work), bytes, most);
        if let Ok(Pushed::Waits { pause: true }) = pushed {
            // Under the queue's lock, so that reading does not go on before it has paused.
            connection.link.pause();
        }
        pushed
    };
    match pushed {
        Ok(Pushed::RunNow(mut work)) => {
            let is_done = (&mut work).now_or_never().is_some();
            let rest = if is_done { next(connection) } else { Some(work) };
            if let Some(work) = rest {
                connection.context().tasks.spawn("events", drain(connection.clone(), work));
            }
        }
        Ok(Pushed::Waits { .. }) => {}
        Err(Overflow) => {
            metrics::queue_overflows().increment(1);
            connection.close(ClosingReason::RateLimited);
        }
    }
}

/// Does this, and all that is asked for meanwhile.
async fn drain(connection: Arc<Connection>, mut work: Work) {
    loop {
        work.await;
        let Some(next) = next(&connection) else { return };
        work = next;
    }
}

/// What is to be done after what was; reading goes on when little waits behind it.
fn next(connection: &Connection) -> Option<Work> {
    let mut queue = connection.queue();
    match queue.next() {
        Next::Work { work, resume } => {
            if resume {
                connection.link.resume();
            }
            Some(work)
        }
        Next::Idle => None,
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
        if let Some(cause) = error.causes() {
            let address = self.connection.address();
            if let Some(left_out) = log_limit::admit(name, Some(address), &cause) {
                tracing::error!(event = name, %error, cause, left_out, "an event failed");
            }
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
                code: error.ack_code(),
            })),
        }
    }
}
