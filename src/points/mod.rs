//! Points: what users earn, in a ledger that only grows, with levels and referrals.
//!
//! The balance changes in the unit that adds to the ledger, so it is the sum of it at any time.
//! Rooms above ask in a unit of their own: [`PointsService::award`], [`PointsService::sign_up`],
//! [`PointsService::referral_code`]. One that awards points to several users does so in the order of
//! their ids, and tells them something after that, so that units never wait for each other in a
//! circle.

mod announcements;
pub mod documents;
pub mod events;
mod http;
mod levels;
mod lines;
mod personal;
mod requests;
mod service;
mod store;

pub use http::routes;
pub use lines::{PointsLine, PointsPart, UserWalk as PointsWalk};
pub use personal::Personal;
pub use requests::Award;
pub use service::PointsService;
