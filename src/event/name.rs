//! Names of events, and which may be sent at all.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::declaration::EventType;

/// Names that JavaScript clients keep for themselves: one of them relayed drops every client in the
/// room (docs/contract/events.md#reserved-names).
const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// The longest name of an event that comes from outside.
const MAX_NAME_CHARS: usize = 128;

/// An event name that may be sent: 1–128 characters without control characters, and not a reserved
/// one (docs/contract/events.md#names-of-events).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct EventName(Cow<'static, str>);

/// Why a string is not an [`EventName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEventName {
    /// It does not have the form of a name.
    #[error("an event name has 1–128 characters, none of them a control character")]
    Malformed,
    /// Clients keep it for themselves.
    #[error("this event name is reserved by the Socket.IO clients")]
    Reserved,
}

/// Whether a name is one that JavaScript clients keep for themselves.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

impl EventName {
    /// Takes a string as an event name.
    ///
    /// # Errors
    /// [`InvalidEventName`] when it is reserved or malformed.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidEventName> {
        let name = name.into();
        if is_reserved(&name) {
            return Err(InvalidEventName::Reserved);
        }
        let length = name.chars().take(MAX_NAME_CHARS + 1).count();
        if (1..=MAX_NAME_CHARS).contains(&length) && !name.contains(char::is_control) {
            Ok(Self(name.into()))
        } else {
            Err(InvalidEventName::Malformed)
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a declared event; the catalogue has checked it.
impl From<&EventType> for EventName {
    fn from(event: &EventType) -> Self {
        Self(Cow::Borrowed(event.name))
    }
}

impl TryFrom<String> for EventName {
    type Error = InvalidEventName;

    fn try_from(name: String) -> Result<Self, InvalidEventName> {
        Self::new(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_and_malformed_names_are_refused() {
        for name in RESERVED {
            assert_eq!(EventName::new(name), Err(InvalidEventName::Reserved));
        }
        for name in ["", "a\n", "\u{7f}", "\u{85}", "\u{1}", &"é".repeat(129)] {
            assert_eq!(EventName::new(name), Err(InvalidEventName::Malformed), "{name:?}");
        }
        for name in ["message:new", "chat message", "1", "A.b_c", "\"é🎉\\", &"é".repeat(128)] {
            assert!(EventName::new(name).is_ok(), "{name:?}");
        }
    }
}
