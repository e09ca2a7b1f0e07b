//! The client that calls a backend.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use reqwest::{
    Client,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect, retry,
};

use super::network::Network;

/// How long a connection is kept without a call: less than servers do (Node's keep one for five
/// seconds), so that no call goes to one that is just closing.
const KEEP_ALIVE: Duration = Duration::from_secs(4);

/// A client that calls once, and nobody outside of a network, whatever a name leads to: nothing is
/// followed, or sent again. An address in a URL is its caller's to check.
///
/// # Errors
/// When there is none to be had.
pub fn client(network: Network, timeout: Duration) -> reqwest::Result<Client> {
    // Fails where the process has one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .pool_idle_timeout(KEEP_ALIVE)
        .connect_timeout(timeout)
        .timeout(timeout)
        .user_agent(concat!("stoa/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Arc::new(Within(network)))
        .build()
}

/// Finds addresses of a network only.
struct Within(Network);

#[derive(Debug, thiserror::Error)]
enum Elsewhere {
    #[error("this name leads to no address of a private network, and http goes nowhere else")]
    NotPrivate,
    #[error("this name leads to a private network, or to no address at all")]
    NotPublic,
}

impl Resolve for Within {
    fn resolve(&self, name: Name) -> Resolving {
        let network = self.0;
        Box::pin(async move {
            // The port is that of the URL.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let there = within(network, found);
            if there.is_empty() {
                let private = network == Network::Private;
                return Err(
                    if private { Elsewhere::NotPrivate } else { Elsewhere::NotPublic }.into()
                );
            }
            Ok(Box::new(there.into_iter()) as Addrs)
        })
    }
}

fn within(network: Network, found: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    found.filter(|address| network.has(address.ip())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere_else() {
        let found = ["8.8.8.8:0", "10.0.0.7:0", "[2001:db8::1]:0", "[fd00::7]:0", "127.0.0.1:0"];
        let found = found.map(|address| address.parse().unwrap());
        let leads = |network| within(network, found.into_iter());
        assert_eq!(leads(Network::Private), [found[1], found[3], found[4]]);
        assert_eq!(leads(Network::Public), [found[0]]);
        assert_eq!(leads(Network::Any), found);
    }
}
