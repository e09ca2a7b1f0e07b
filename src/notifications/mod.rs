//! Notifications: what users are told, which of it they have read, and how many are unread.
//!
//! A notification for many is kept once, and each of its users has a row that says whether they
//! have read it. How many are unread is a number that every change keeps right, so that nothing is
//! ever counted. What happens in other rooms is told in the unit in which it happens:
//! [`NotificationService::notify_of`].

mod announcements;
mod causes;
pub mod events;
mod http;
mod lines;
mod personal;
mod prune;
mod requests;
mod service;
mod store;

pub use causes::{Cause, Happening};
pub use http::routes;
pub use lines::NotificationLine;
pub use personal::Personal;
pub use requests::Notice;
pub use service::NotificationService;
