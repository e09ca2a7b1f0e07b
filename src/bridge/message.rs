//! What an emitter asks for, whichever wrote it, and why that is not done.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    control::SocketsCommand,
    error::{Code, Error},
    event::{EventName, InvalidEventName},
    realtime::{ExternalEvent, MAX_ARGUMENTS, MAX_TARGETS, Target},
    rest::json::AnyJson,
    room::Room,
};

/// What is asked for, and is allowed.
#[derive(Debug)]
pub(super) enum Asked {
    /// An event for sockets.
    Emit(ExternalEvent),
    /// Something to be done with sockets.
    Command(SocketsCommand),
}

/// Why a message is passed over.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// It is not written as its emitter writes.
    #[error("it can't be read: {0}")]
    Unreadable(String),
    /// One of Node's servers has sent it to others.
    #[error("it is a server's, and no emitter's; servers on this Redis need another key")]
    Servers,
    /// A namespace that is not here, or not for emitters.
    #[error("bridge.namespaces does not have {0:?}")]
    Namespace(String),
    /// An event that is not for emitters.
    #[error("bridge.events does not have {0:?}")]
    Event(String),
    /// A name that no event may have.
    #[error("{0:?} is no event's name: {1}")]
    Name(String, InvalidEventName),
    /// A room that there can't be.
    #[error("{0} is no room's name")]
    Room(String),
    /// It has what JSON does not.
    #[error("it has binary data")]
    Binary,
    /// Something that only servers can do.
    #[error("{0} is not done here")]
    NotHere(&'static str),
    /// Emitters may send events, and no more.
    #[error("bridge.commands is off")]
    Command,
    /// More than it may be.
    #[error("it is too large: {0}")]
    TooLarge(&'static str),
    /// The store does not take it.
    #[error("{0}")]
    Store(Error),
}

impl Refusal {
    /// As metrics name it.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable",
            Self::Store(error) if error.code() == Code::Unavailable => "unavailable",
            _ => "refused",
        }
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

/// Names as an emitter writes them: none, one, or some. What is no text is no name, and kept to be told.
#[derive(Default, Deserialize)]
#[serde(from = "Option<OneOrSome>")]
pub(super) struct Names(Vec<Box<RawValue>>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrSome {
    Some(Vec<serde_json::Value>),
    One(serde_json::Value),
}

impl From<Option<OneOrSome>> for Names {
    fn from(names: Option<OneOrSome>) -> Self {
        let names = match names {
            None => Vec::new(),
            Some(OneOrSome::Some(names)) => names,
            Some(OneOrSome::One(name)) => vec![name],
        };
        Self(names.iter().filter_map(|name| serde_json::value::to_raw_value(name).ok()).collect())
    }
}

impl Names {
    /// The rooms of these names.
    ///
    /// # Errors
    /// The first that is none, or that there are too many.
    pub(super) fn rooms(self) -> Result<Vec<Room>, Refusal> {
        if self.0.len() > MAX_TARGETS {
            return Err(Refusal::TooLarge("it has more than 1000 rooms"));
        }
        let room = |name: Box<RawValue>| {
            serde_json::from_str(name.get()).map_err(|_| Refusal::Room(beginning(name.get())))
        };
        self.0.into_iter().map(room).collect()
    }
}

/// Who is meant where these rooms are named, and those left out.
///
/// # Errors
/// Those of [`Names::rooms`].
pub(super) fn target(rooms: Names, except: Names) -> Result<Target, Refusal> {
    let (rooms, except) = (rooms.rooms()?, except.rooms()?);
    Ok(match (rooms.is_empty(), except.is_empty()) {
        (true, true) => Target::Everyone,
        (true, false) => Target::EveryoneBut { except },
        _ => Target::Rooms { rooms, except },
    })
}

/// A name as an event's.
///
/// # Errors
/// When it is none.
pub(super) fn event_name(name: &str) -> Result<EventName, Refusal> {
    EventName::new(name).map_err(|error| Refusal::Name(beginning(name), error))
}

/// Arguments as an event has them: one alone, or any other number as a list; and whether it is that.
///
/// # Errors
/// When they are too many, or too deep.
pub(super) fn arguments(arguments: &[&RawValue]) -> Result<(Box<RawValue>, bool), Refusal> {
    if arguments.len() > MAX_ARGUMENTS {
        return Err(Refusal::TooLarge("it has more than 100 arguments"));
    }
    let checked = |argument: &RawValue| {
        let AnyJson(argument) = serde_json::from_str(argument.get())?;
        Ok::<_, Refusal>(argument)
    };
    if let [argument] = arguments {
        return Ok((checked(argument)?, false));
    }
    let all = arguments.iter().map(|argument| checked(argument)).collect::<Result<Vec<_>, _>>()?;
    Ok((serde_json::value::to_raw_value(&all)?, true))
}

/// As much of a text as is told in the log.
pub(super) fn beginning(text: &str) -> String {
    text.chars().take(64).collect()
}
