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
    realtime::{
        Commands, Connection,
        events::{RoomChanged, RoomsChanged},
    },
    room::Room,
};

/// What clients may ask here.
pub fn commands(access: &Access, commands: &mut Commands) {
    commands.on(JOIN_REQUEST_ROOM, access, join_request_room);
    commands.on(LEAVE_REQUEST_ROOM, &(), leave_request_room);
    commands.on(JOIN_CHECKOUT_ROOM, access, join_checkout_room);
    commands.on(LEAVE_CHECKOUT_ROOM, &(), leave_checkout_room);
    commands.on(JOIN_SELLER_ROOM, access, join_seller_room);
    commands.on(LEAVE_SELLER_ROOM, &(), leave_seller_room);
    commands.on(JOIN_BUYER_ROOM, access, join_buyer_room);
    commands.on(LEAVE_BUYER_ROOM, &(), leave_buyer_room);
}

async fn join_request_room(
    access: Access,
    connection: Arc<Connection>,
    request: Id,
) -> Result<RoomChanged> {
    access.join_since(&connection, Room::Request(request), None).await
}

async fn leave_request_room(
    (): (),
    connection: Arc<Connection>,
    request: Id,
) -> Result<RoomChanged> {
    Ok(leave(&connection, Room::Request(request)))
}

async fn join_checkout_room(
    access: Access,
    connection: Arc<Connection>,
    checkout: Id,
) -> Result<RoomChanged> {
    access.join_since(&connection, Room::Checkout(checkout), None).await
}

async fn leave_checkout_room(
    (): (),
    connection: Arc<Connection>,
    checkout: Id,
) -> Result<RoomChanged> {
    Ok(leave(&connection, Room::Checkout(checkout)))
}

async fn join_seller_room(
    access: Access,
    connection: Arc<Connection>,
    seller: Id,
) -> Result<RoomsChanged> {
    join_own(&access, &connection, &seller, seller_rooms(seller.clone())).await
}

async fn leave_seller_room(
    (): (),
    connection: Arc<Connection>,
    seller: Id,
) -> Result<RoomsChanged> {
    Ok(leave_all(&connection, seller_rooms(seller)))
}

async fn join_buyer_room(
    access: Access,
    connection: Arc<Connection>,
    buyer: Id,
) -> Result<RoomsChanged> {
    join_own(&access, &connection, &buyer, buyer_rooms(buyer.clone())).await
}

async fn leave_buyer_room((): (), connection: Arc<Connection>, buyer: Id) -> Result<RoomsChanged> {
    Ok(leave_all(&connection, buyer_rooms(buyer)))
}

fn seller_rooms(id: Id) -> [Room; 2] {
    [Room::Seller(id), Room::Sellers]
}

fn buyer_rooms(id: Id) -> [Room; 2] {
    [Room::Buyer(id), Room::Buyers]
}

fn leave(connection: &Arc<Connection>, room: Room) -> RoomChanged {
    connection.leave(&room);
    RoomChanged::of(room)
}

/// The rooms of somebody whom a client says that it is.
async fn join_own(
    access: &Access,
    connection: &Arc<Connection>,
    owner: &Id,
    rooms: [Room; 2],
) -> Result<RoomsChanged> {
    connection.claim(owner)?;
    access.join_all(connection, &rooms).await?;
    Ok(RoomsChanged { success: Success, rooms: rooms.into() })
}

fn leave_all(connection: &Arc<Connection>, rooms: [Room; 2]) -> RoomsChanged {
    for room in &rooms {
        connection.leave(room);
    }
    RoomsChanged { success: Success, rooms: rooms.into() }
}
