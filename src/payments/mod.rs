//! Payments of buyers and payouts to sellers, by SHKeeper or by the buyer's own wallet.
//!
//! A payment is confirmed by a backend that watches the chain, or by SHKeeper's signed callback;
//! either way the payment, its ledger and the request move in one unit of work. A payout is written
//! down before the provider is asked, and the provider is asked once.

mod announcements;
pub mod documents;
pub mod events;
mod happenings;
mod http;
mod lines;
mod paid_for;
mod personal;
mod requests;
mod service;
pub mod shkeeper;
mod store;
mod transaction;
mod watch;

pub use http::routes;
pub use lines::{PaymentLine, PayoutLine};
pub use paid_for::{PaidFor, paid_for};
pub use personal::Personal;
pub use service::PaymentService;
