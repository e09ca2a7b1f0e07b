//! Points, levels and referrals of users.

pub mod events;
