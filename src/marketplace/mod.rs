//! The marketplace: purchase requests, offers, delivery, checkouts.
//!
//! A request goes through the table of [`moves`]; each change is one unit of work that locks the
//! request, and announces what happened. Payments say through a [`Sale`] that it is paid.

mod announcements;
mod contacts;
pub mod documents;
pub mod events;
mod happenings;
mod http;
mod lines;
pub mod moves;
mod paid;
mod personal;
mod requests;
mod rights;
mod sale;
mod service;
mod socket;
mod store;

pub use contacts::{contacts_among, find_contacts, parties};
pub use http::routes;
pub use lines::{CheckoutLine, OfferLine, RequestLine};
pub use paid::PaidBy;
pub use personal::Personal;
pub use rights::membership;
pub use sale::{Sale, Terms, with_offers};
pub use service::MarketplaceService;
pub use socket::commands;
