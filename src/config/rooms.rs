//! `[rooms]`: who may enter a room.

use serde::{Deserialize, Serialize};

/// `[rooms]`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoomsConfig {
    /// `ROOM_POLICY`
    pub policy: RoomPolicy,
}

/// `ROOM_POLICY`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoomPolicy {
    /// Only who has the right.
    Strict,
    /// Also anyone, where this server has no record of the room's id.
    Open,
}
