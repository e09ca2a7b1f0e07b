//! What becomes of a session, as it is noted.

use std::num::NonZeroU32;

use tokio::sync::oneshot;
use uuid::Uuid;

use super::pid::Key;
use crate::{db::Reach, event::Namespace, id::Id, room::Room};

/// An end: how far events had been sent by then, and why.
pub(super) struct Leaving {
    pub(super) after: Reach,
    pub(super) reason: &'static str,
}

/// What becomes of a session, by whoever has it: what is said of an earlier generation than it is of by then
/// changes nothing of it.
pub(super) enum Entry {
    Began {
        key: Key,
        socket: Uuid,
        user: Id,
        namespace: Namespace,
        began: Reach,
    },
    Joined {
        key: Key,
        generation: NonZeroU32,
        room: Room,
        /// How far events had been sent when it was entered.
        entered: Reach,
        joined: Reach,
        caught_up: bool,
    },
    /// What is not so of a room any more.
    Left {
        key: Key,
        generation: NonZeroU32,
        room: Room,
        /// How far events had been sent, and why; none of a room that it is still in.
        leaving: Option<Leaving>,
    },
    /// What came to a room between these numbers was sent by a replay.
    Replayed {
        key: Key,
        room: Room,
        since: i64,
        upto: i64,
    },
    /// Who came back was sent what was missed up to here.
    Restored {
        key: Key,
        generation: NonZeroU32,
        restored: Reach,
    },
    Ended {
        key: Key,
        generation: NonZeroU32,
        leaving: Leaving,
    },
    Forgotten {
        key: Key,
        generation: NonZeroU32,
        leaving: Leaving,
    },
    /// All before it is to be written.
    Asked(oneshot::Sender<()>),
}
