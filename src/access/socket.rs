//! Entering a user's room, and going on under a new token, by event.

use super::{
    Access,
    events::{JOIN_USER_ROOM, JoinUserRoom},
};
use crate::{
    limits::EventClass,
    realtime::{
        Commands,
        events::{REFRESH_AUTH, RefreshAuth},
    },
    room::Room,
};

/// What clients may ask here.
pub fn commands(access: &Access, commands: &mut Commands) {
    let with = access.clone();
    commands.on(&REFRESH_AUTH, EventClass::Refresh, move |connection, refresh: RefreshAuth| {
        let access = with.clone();
        async move { access.refresh(&connection, &refresh.token).await }
    });
    let access = access.clone();
    commands.on(&JOIN_USER_ROOM, EventClass::Join, move |connection, join: JoinUserRoom| {
        let access = access.clone();
        async move {
            let (user, since) = join.into_parts();
            connection.claim(&user)?;
            access.change(&connection, Room::User(user), since).await
        }
    });
}
