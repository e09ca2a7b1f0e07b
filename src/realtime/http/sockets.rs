//! Sockets, for operators: who is connected, from where and how, and what may be done about it.

use std::convert::identity;

use axum::{Json, extract::State};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::rooms::OfAllNodes;
use crate::{
    auth::OperatorCaller,
    error::{Code, Error, Result},
    failures,
    realtime::{
        Realtime,
        listed::{Listed, SocketFilter},
    },
    rest::{
        body::{Path, Query},
        list::{List, Page},
    },
    room::Room,
};

failures! {
    /// By it all of a user's sockets are found.
    OwnRoom = Conflict, "A socket does not leave the room of its own user, nor its own.";
}

/// Whether a socket was there.
#[derive(Serialize, ToSchema)]
pub(super) struct SocketClosed {
    /// How many were closed: 1, or 0 where no node has it.
    disconnected: usize,
}

/// Lists the sockets, on whichever node.
///
/// Needs the role `service` or `admin`. The latest first. Every filter narrows it.
#[utoipa::path(
    get,
    path = "/api/sockets",
    tag = "Emit",
    params(SocketFilter, Page),
    responses((status = 200, description = "A page of sockets.", body = OfAllNodes<Listed>))
)]
pub(super) async fn list_sockets(
    State(realtime): State<Realtime>,
    _operator: OperatorCaller,
    Query(filter): Query<SocketFilter>,
    page: Page,
) -> Result<Json<OfAllNodes<Listed>>> {
    let sockets = realtime.census.sockets(filter, page.after()?, page.fetch()).await;
    let list = List::of(sockets.items, &page, |socket| socket.id, identity);
    Ok(Json(OfAllNodes { list, partial: sockets.partial }))
}

/// Closes a socket.
///
/// Needs the role `service` or `admin`. The socket is told `session:closing` with the reason
/// `disconnected`, and may connect again.
#[utoipa::path(
    post,
    path = "/api/sockets/{id}/disconnect",
    tag = "Emit",
    params(("id" = String, Path, description = "The `socket.id`.")),
    responses((status = 200, description = "Whether it was there.", body = SocketClosed))
)]
pub(super) async fn disconnect_socket(
    State(realtime): State<Realtime>,
    operator: OperatorCaller,
    Path(id): Path<Uuid>,
) -> Result<Json<SocketClosed>> {
    let disconnected = usize::from(realtime.census.close_socket(id).await);
    tracing::info!(by = %operator.identity.user_id, disconnected, "a socket was disconnected");
    Ok(Json(SocketClosed { disconnected }))
}

/// Puts a socket out of a room.
///
/// Needs the role `service` or `admin`. What it may enter stays as it is: `DELETE
/// /api/rooms/{room}/members/{userId}` takes a grant back.
#[utoipa::path(
    delete,
    path = "/api/sockets/{id}/rooms/{room}",
    tag = "Emit",
    params(
        ("id" = String, Path, description = "The `socket.id`."),
        ("room" = String, Path, description = "The room's name."),
    ),
    responses((status = 204, description = "The socket is not in the room."), OwnRoom)
)]
pub(super) async fn put_out(
    State(realtime): State<Realtime>,
    operator: OperatorCaller,
    Path((id, room)): Path<(Uuid, Room)>,
) -> Result<StatusCode> {
    if matches!(room, Room::User(_)) || room.to_string() == id.to_string() {
        let sentence = "A socket does not leave the room of its own user, nor its own.";
        return Err(Error::new(Code::Conflict, sentence));
    }
    let left = realtime.census.put_out(id, room).await;
    tracing::info!(by = %operator.identity.user_id, left, "a socket was put out of a room");
    Ok(StatusCode::NO_CONTENT)
}
