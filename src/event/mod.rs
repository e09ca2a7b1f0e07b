//! Events by name: how a room declares what it sends and hears (its `events.rs`), and which names
//! may be sent at all, and patterns of names.

mod declaration;
mod name;
mod namespace;
mod pattern;

pub use self::{
    declaration::{
        Alone, ClientEvent, Direction, Ephemeral, EventClass, EventType, Kept, ServerEvent, Shape,
        Success, Twin, Twinned,
    },
    name::{EventName, InvalidEventName, is_reserved},
    namespace::{ByNamespace, Dialect, Namespace, Namespaces, as_path},
    pattern::{EventPatterns, InvalidPattern},
};
