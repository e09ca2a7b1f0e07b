//! Payments of buyers and payouts to sellers.

pub mod events;
pub mod shkeeper;
