//! Presence by event: how a marketplace client says that it is here.

use std::sync::Arc;

use super::{Presence, events::marketplace::ANNOUNCE_ONLINE};
use crate::{
    error::{Error, Result},
    id::Id,
    realtime::{Commands, Connection, events::RoomChanged},
    room::Room,
};

/// What clients may ask here.
pub fn commands(presence: &Presence, commands: &mut Commands) {
    commands.on(ANNOUNCE_ONLINE, presence, announce_online);
}

async fn announce_online(
    presence: Presence,
    connection: Arc<Connection>,
    user: Id,
) -> Result<RoomChanged> {
    if connection.claim(&user)?.user_id != user {
        return Err(Error::forbidden());
    }
    let room = Room::User(user.clone());
    connection.join(room.clone())?;
    presence.announce_again(&user);
    Ok(RoomChanged::of(room))
}
