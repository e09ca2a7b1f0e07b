//! What the tests stand on: a server of their own, and clients that speak to it as browsers do.

pub mod app;
mod chance;
mod chat;
pub mod market;
mod options;
mod packet;
mod person;
pub mod poll;
pub mod postgres;
pub mod process;
pub mod raw;
pub mod redis;
pub mod shkeeper;
mod socket;
mod transcript;
mod transport;

use std::{
    future::Future,
    time::{Duration, Instant},
};

pub use app::TestApp;
pub use chance::chance;
pub use options::{ConnectError, Options};
pub use person::Person;
pub use socket::Client;

/// How long anything may take before a test fails: it hangs, or the machine has much else to do.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// How soon something is asked again.
const ASK_INTERVAL: Duration = Duration::from_millis(20);

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

/// Asks again and again until there is an answer, for what tells nobody when it changes: a file, a
/// row, another process. How long that may take is for [`within`] to say.
pub async fn eventually<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let mut ticks = tokio::time::interval(ASK_INTERVAL);
    loop {
        ticks.tick().await;
        if let Some(answer) = ask().await {
            return answer;
        }
    }
}

/// So many, but for what may have come back by now to a bucket of one a second that was drawn from
/// since then.
pub fn but_for_time(count: usize, begun: Instant) -> usize {
    let came_back = 1 + usize::try_from(begun.elapsed().as_secs()).expect("a number");
    count.saturating_sub(came_back)
}

/// A client for REST and polling; each has its own connections.
pub fn http_client() -> reqwest::Client {
    // reqwest is built without a provider of its own and asks for one even for plain HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().expect("an HTTP client")
}
