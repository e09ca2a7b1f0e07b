//! Payments of buyers and payouts to sellers.

pub mod events;
