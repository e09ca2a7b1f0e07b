//! Entering a user's room by event.

use super::{
    Access,
    events::{JOIN_USER_ROOM, JoinUserRoom},
};
use crate::{
    limits::EventClass,
    realtime::{Commands, events::RoomChanged},
    room::Room,
};

/// What clients may ask here.
pub fn commands(access: &Access, commands: &mut Commands) {
    let access = access.clone();
    commands.on(&JOIN_USER_ROOM, EventClass::Join, move |connection, join: JoinUserRoom| {
        let access = access.clone();
        async move {
            let (user, _) = join.into_parts();
            connection.claim(&user)?;
            let room = Room::User(user);
            access.enter(&connection, room.clone()).await?;
            Ok(RoomChanged::of(room))
        }
    });
}
