//! People who sign up and sign in here: an access token that works everywhere, and refresh tokens
//! that each serve once.
//!
//! Beside an app with its own login accounts are off (`ACCOUNTS`); what is asked about the token
//! that a caller shows, `me` and `logout`, is answered all the same.

pub mod documents;
mod email;
mod http;
mod lines;
mod passwords;
mod personal;
mod requests;
mod service;
mod store;
mod tokens;

pub use http::routes;
pub use lines::AccountPart;
pub use personal::Personal;
pub use service::AccountService;
