//! The roof: what is put together from all rooms.

pub mod catalogue;
