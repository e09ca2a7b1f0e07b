//! What becomes of a session, as it is noted.

use std::num::NonZeroU32;

use tokio::sync::oneshot;
use uuid::Uuid;

use super::pid::Key;
use crate::{db::Reach, event::Namespace, id::Id, room::Room};

/// What becomes of a session.
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
        room: Room,
        joined: Reach,
        caught_up: bool,
    },
    Left {
        key: Key,
        room: Room,
    },
    Ended {
        key: Key,
        generation: NonZeroU32,
    },
    Forgotten {
        key: Key,
        generation: NonZeroU32,
    },
    /// All before it is to be written.
    Asked(oneshot::Sender<()>),
}
