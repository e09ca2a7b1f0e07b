//! What keeps declarations from being a catalogue.

use crate::event::InvalidEventName;

/// Why declarations do not make a catalogue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCatalogue {
    /// A name stands for two events of the same direction.
    #[error("two events are called {0:?}")]
    Duplicate(&'static str),
    /// A name may not be sent.
    #[error("{0:?}: {1}")]
    Name(&'static str, InvalidEventName),
    /// An event has a twin that is none, or is the twin of nothing.
    #[error("{0:?} has no twin in the other dialect")]
    Twin(&'static str),
    /// Two types of one name would be one in the documents.
    #[error("two types are called {0}")]
    AmbiguousType(String),
}
