//! Requests, offers and checkouts in the store.

pub(super) mod checkouts;
pub(super) mod contacts;
pub(super) mod listed;
pub(super) mod moved;
pub(super) mod offers;
pub(super) mod personal;
pub(super) mod requests;
