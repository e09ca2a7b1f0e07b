//! The lines of payments and payouts (docs/moving.md).

mod callback;
mod payment;
mod payout;

pub use self::{payment::PaymentLine, payout::PayoutLine};
