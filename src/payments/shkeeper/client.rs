//! The client that asks a SHKeeper server.

use std::time::Duration;

use reqwest::{Client, redirect, retry};

use super::error::SetupError;

/// Until there is a connection, at most.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client that does one thing once: nothing is followed, sent again, or sent on a connection that
/// may have ended meanwhile, since that could not be told from a call that arrived.
pub(super) fn client(timeout: Duration) -> Result<Client, SetupError> {
    // Fails where the process has one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .pool_max_idle_per_host(0)
        // Well before the whole call's, so that what was never sent is known as such.
        .connect_timeout(CONNECT_TIMEOUT.min(timeout / 2))
        .timeout(timeout)
        .build()
        .map_err(|error| SetupError::new("SHKEEPER_URL", format!("{error}")))
}
