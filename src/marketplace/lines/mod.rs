//! The lines of the marketplace (docs/moving.md).

mod checkout;
mod offer;
mod request;

pub use self::{checkout::CheckoutLine, offer::OfferLine, request::RequestLine};
