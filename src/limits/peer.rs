//! How many TCP connections one peer may keep open that are no websocket: they have sent nothing
//! yet, or half a request, or stay open between two.

use std::{net::IpAddr, sync::Arc};

use dashmap::{DashMap, Entry};
use ipnet::IpNet;

use super::address::network;
use crate::config::{LimitsConfig, ServerConfig};

/// Counts the HTTP connections of each peer. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PeerLimits(Option<Arc<Peers>>);

#[derive(Debug)]
struct Peers {
    counts: DashMap<IpAddr, usize>,
    most: usize,
    /// Proxies of ours, which carry everyone.
    trusted: Vec<IpNet>,
}

/// Lets one HTTP connection of a peer be, until it is dropped.
#[derive(Debug)]
pub struct PeerPermit(Option<(Arc<Peers>, IpAddr)>);

impl PeerLimits {
    /// The limit as configured; none when limits are off.
    #[must_use]
    pub fn new(config: &LimitsConfig, server: &ServerConfig) -> Self {
        let peers = || Peers {
            counts: DashMap::new(),
            most: config.http_connections_per_address,
            trusted: server.trusted_proxies.clone(),
        };
        Self(config.enabled.then(|| Arc::new(peers())))
    }

    /// Permits a new connection; none when the peer has as many as it may.
    #[must_use]
    pub fn admit(&self, peer: IpAddr) -> Option<PeerPermit> {
        let peer = peer.to_canonical();
        let counted = self.0.as_ref().filter(|peers| !peers.trust(peer));
        let permit = counted.map(|peers| (peers.clone(), network(peer)));
        if let Some((peers, address)) = &permit {
            let mut count = peers.counts.entry(*address).or_default();
            if *count >= peers.most {
                return None;
            }
            *count += 1;
        }
        Some(PeerPermit(permit))
    }
}

impl Peers {
    fn trust(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|range| range.contains(&peer))
    }
}

impl Drop for PeerPermit {
    fn drop(&mut self) {
        let Some((peers, address)) = self.0.take() else { return };
        if let Entry::Occupied(mut count) = peers.counts.entry(address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn limits(change: impl FnOnce(&mut Config)) -> PeerLimits {
        let mut config = Config::for_tests();
        config.limits.http_connections_per_address = 1;
        change(&mut config);
        PeerLimits::new(&config.limits, &config.server)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_peer_holds_its_share_and_nothing_is_kept_of_one_that_left() {
        let limits = limits(|_| {});
        let permit = limits.admit(address("192.0.2.1")).unwrap();
        assert!(limits.admit(address("192.0.2.1")).is_none());
        assert!(limits.admit(address("::ffff:192.0.2.1")).is_none(), "the same peer");
        assert!(limits.admit(address("192.0.2.2")).is_some());
        drop(permit);
        assert!(limits.0.as_ref().unwrap().counts.is_empty());
        assert!(limits.admit(address("192.0.2.1")).is_some());
    }

    #[test]
    fn proxies_of_ours_and_a_server_without_limits_have_as_many_as_they_like() {
        let trusting =
            limits(|config| config.server.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()]);
        let off = limits(|config| config.limits.enabled = false);
        for (limits, peer) in [(trusting, "10.1.2.3"), (off, "192.0.2.1")] {
            let permits = [limits.admit(address(peer)), limits.admit(address(peer))];
            assert!(permits.iter().all(Option::is_some), "{peer}");
        }
    }
}
