//! The rooms of the marketplace by event.

use std::sync::Arc;

use super::events::{
    JOIN_BUYER_ROOM, JOIN_CHECKOUT_ROOM, JOIN_REQUEST_ROOM, JOIN_SELLER_ROOM, LEAVE_BUYER_ROOM,
    LEAVE_CHECKOUT_ROOM, LEAVE_REQUEST_ROOM, LEAVE_SELLER_ROOM,
};
use crate::{
    access::Access,
    error::Result,
    event::Success,
    id::Id,
    limits::EventClass,
    realtime::{
        Commands, Connection,
        events::{RoomChanged, RoomsChanged},
    },
    room::Room,
};

/// What clients may ask here.
pub fn commands(access: &Access, commands: &mut Commands) {
    for (join, leave, room) in [
        (JOIN_REQUEST_ROOM, LEAVE_REQUEST_ROOM, Room::Request as fn(Id) -> Room),
        (JOIN_CHECKOUT_ROOM, LEAVE_CHECKOUT_ROOM, Room::Checkout),
    ] {
        let access = access.clone();
        commands.on(&join, EventClass::Join, move |connection, id| {
            enter_one(access.clone(), connection, room(id))
        });
        commands.on(&leave, EventClass::Join, move |connection, id: Id| async move {
            connection.leave(&room(id.clone()));
            Ok(RoomChanged::of(room(id)))
        });
    }
    for (join, leave, rooms) in [
        (JOIN_SELLER_ROOM, LEAVE_SELLER_ROOM, seller_rooms as fn(Id) -> [Room; 2]),
        (JOIN_BUYER_ROOM, LEAVE_BUYER_ROOM, buyer_rooms),
    ] {
        let access = access.clone();
        commands.on(&join, EventClass::Join, move |connection, id: Id| {
            enter_own(access.clone(), connection, id.clone(), rooms(id))
        });
        commands.on(&leave, EventClass::Join, move |connection, id: Id| async move {
            let rooms = rooms(id);
            for room in &rooms {
                connection.leave(room);
            }
            Ok(RoomsChanged { success: Success, rooms: rooms.into() })
        });
    }
}

fn seller_rooms(id: Id) -> [Room; 2] {
    [Room::Seller(id), Room::Sellers]
}

fn buyer_rooms(id: Id) -> [Room; 2] {
    [Room::Buyer(id), Room::Buyers]
}

async fn enter_one(access: Access, connection: Arc<Connection>, room: Room) -> Result<RoomChanged> {
    access.enter(&connection, room.clone()).await?;
    Ok(RoomChanged::of(room))
}

async fn enter_own(
    access: Access,
    connection: Arc<Connection>,
    owner: Id,
    rooms: [Room; 2],
) -> Result<RoomsChanged> {
    connection.claim(&owner)?;
    access.enter_all(&connection, &rooms).await?;
    Ok(RoomsChanged { success: Success, rooms: rooms.into() })
}
