//! Notifications of one user, and how many of them are unread.

pub mod events;
