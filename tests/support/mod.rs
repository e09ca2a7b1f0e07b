//! What the tests stand on: a server of their own, and clients that speak to it as browsers do.

pub mod app;
pub mod market;
mod options;
mod packet;
pub mod poll;
pub mod postgres;
pub mod raw;
pub mod shkeeper;
mod socket;
mod transport;

use std::{future::Future, time::Duration};

pub use app::{TestApp, User};
pub use options::{ConnectError, Options};
pub use socket::Client;

/// How long anything may take before a test fails.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// Awaits `future`; fails the test, saying what it waited for, when that takes longer than
/// [`DEADLINE`].
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    within_time(DEADLINE, what, future).await
}

/// [`within`] with a deadline of its own.
pub async fn within_time<T>(deadline: Duration, what: &str, future: impl Future<Output = T>) -> T {
    let Ok(value) = tokio::time::timeout(deadline, future).await else {
        panic!("waited {deadline:?} for {what}");
    };
    value
}

/// A client for REST and polling; each has its own connections.
pub fn http_client() -> reqwest::Client {
    // reqwest is built without a provider of its own and asks for one even for plain HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().expect("an HTTP client")
}
