//! What happens to notifications, as the wire events that it becomes: one for all who hear the same.

use super::events::{NewNotification, Notification, UnreadCountUpdate};
use crate::{id::Id, room::Room, stream::WireEvent};

/// These users got a notification.
pub(super) fn told<'a>(
    notification: &Notification,
    users: impl Iterator<Item = &'a Id>,
) -> WireEvent {
    let notification = notification.clone();
    WireEvent::to_rooms(rooms(users), &NewNotification { notification })
}

/// Each of these users has so many unread now.
pub(super) fn counted<'a>(unread_count: u64, users: impl Iterator<Item = &'a Id>) -> WireEvent {
    WireEvent::to_rooms(rooms(users), &UnreadCountUpdate { unread_count })
}

fn rooms<'a>(users: impl Iterator<Item = &'a Id>) -> Vec<Room> {
    users.cloned().map(Room::User).collect()
}
