//! Entering a user's room, and going on under a new token, by event.

use std::sync::Arc;

use super::{
    Access,
    events::{JOIN_USER_ROOM, JoinUserRoom},
};
use crate::{
    error::Result,
    realtime::{
        Commands, Connection,
        events::{AuthRefreshed, REFRESH_AUTH, RefreshAuth, RoomChanged},
    },
    room::Room,
};

/// What clients may ask here.
pub fn commands(access: &Access, commands: &mut Commands) {
    commands.on(REFRESH_AUTH, access, refresh_auth);
    commands.on(JOIN_USER_ROOM, access, join_user_room);
}

async fn refresh_auth(
    access: Access,
    connection: Arc<Connection>,
    refresh: RefreshAuth,
) -> Result<AuthRefreshed> {
    access.refresh(&connection, &refresh.token).await
}

async fn join_user_room(
    access: Access,
    connection: Arc<Connection>,
    join: JoinUserRoom,
) -> Result<RoomChanged> {
    let (user, since) = join.into_parts();
    connection.claim(&user)?;
    access.join_since(&connection, Room::User(user), since).await
}
