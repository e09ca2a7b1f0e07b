//! Presence by event: how a marketplace client says that it is here.

use super::{Presence, events::marketplace::ANNOUNCE_ONLINE};
use crate::{
    error::Error,
    id::Id,
    limits::EventClass,
    realtime::{Commands, events::RoomChanged},
    room::Room,
};

/// What clients may ask here.
pub fn commands(presence: &Presence, commands: &mut Commands) {
    let presence = presence.clone();
    commands.on(&ANNOUNCE_ONLINE, EventClass::Other, move |connection, user: Id| {
        let presence = presence.clone();
        async move {
            if connection.claim(&user)?.user_id != user {
                return Err(Error::forbidden());
            }
            let room = Room::User(user.clone());
            connection.join(room.clone())?;
            presence.announce_again(&user);
            Ok(RoomChanged::of(room))
        }
    });
}
