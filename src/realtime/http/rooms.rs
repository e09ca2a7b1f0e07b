//! Rooms and who is in them, for operators.

use std::convert::identity;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    auth::OperatorCaller,
    error::{Error, Result},
    realtime::{
        Realtime,
        hub::{RoomMember, RoomSize},
    },
    rest::{
        body::{Path, Query},
        list::{List, Page},
    },
    room::Room,
};

/// Which rooms to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RoomFilter {
    /// Only rooms whose name begins so.
    #[serde(default)]
    prefix: String,
    /// `name`, or `size` for those with the most sockets, the largest first: one page, and over several nodes
    /// of each as far as a room is among its largest.
    #[serde(default)]
    #[param(inline)]
    order: RoomOrder,
    /// `false` leaves out the rooms that are a user's own.
    #[serde(default = "yes")]
    #[param(default = true)]
    users: bool,
}

/// In which order.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum RoomOrder {
    /// By name.
    #[default]
    Name,
    /// The largest first.
    Size,
}

const fn yes() -> bool {
    true
}

/// A page of what all nodes have.
#[derive(Serialize, ToSchema)]
pub(super) struct OfAllNodes<T> {
    #[serde(flatten)]
    pub(super) list: List<T>,
    /// Told where a node that lives did not answer: it is the others' alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) partial: bool,
}

/// Lists the rooms that have members, on whichever node.
///
/// Needs the role `service` or `admin`. In the order of their names, or by size. A user who is in a room on
/// several nodes is counted once.
#[utoipa::path(
    get,
    path = "/api/rooms",
    tag = "Emit",
    params(RoomFilter, Page),
    responses((status = 200, description = "A page of rooms.", body = OfAllNodes<RoomSize>))
)]
pub(super) async fn list_rooms(
    State(realtime): State<Realtime>,
    _operator: OperatorCaller,
    Query(filter): Query<RoomFilter>,
    page: Page,
) -> Result<Json<OfAllNodes<RoomSize>>> {
    let RoomFilter { prefix, order, users } = filter;
    let after = page.after()?;
    let rooms = match order {
        RoomOrder::Name => realtime.census.rooms(prefix, after, users, page.fetch()).await,
        RoomOrder::Size if prefix.is_empty() && after.is_none() => {
            realtime.census.largest_rooms(users, page.limit).await
        }
        RoomOrder::Size => {
            return Err(Error::invalid("/order", "by size there is one page, of all rooms"));
        }
    };
    let list = List::of(rooms.items, &page, |room| room.room.clone(), identity);
    Ok(Json(OfAllNodes { list, partial: rooms.partial }))
}

/// Lists the members of a room, on whichever node.
///
/// Needs the role `service` or `admin`. In the order of their user ids.
#[utoipa::path(
    get,
    path = "/api/rooms/{room}/members",
    tag = "Emit",
    params(("room" = String, Path, description = "The room's name."), Page),
    responses((status = 200, description = "A page of members.", body = OfAllNodes<RoomMember>))
)]
pub(super) async fn list_members(
    State(realtime): State<Realtime>,
    _operator: OperatorCaller,
    Path(room): Path<Room>,
    page: Page,
) -> Result<Json<OfAllNodes<RoomMember>>> {
    let members = realtime.census.members(room, page.after()?, page.fetch()).await;
    let list = List::of(members.items, &page, |member| member.user_id.clone(), identity);
    Ok(Json(OfAllNodes { list, partial: members.partial }))
}
