//! How many sockets one address holds, and how many of them are strangers'.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use dashmap::{DashMap, Entry};

use crate::config::LimitsConfig;

/// Counts the sockets of each address. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AddressLimits(Option<Arc<Addresses>>);

#[derive(Debug)]
struct Addresses {
    known: DashMap<IpAddr, Known>,
    most: SocketCounts,
}

/// An address with sockets, and what they hold of it: one pointer each.
#[derive(Debug)]
struct Known {
    counts: SocketCounts,
    address: Arc<Address>,
}

#[derive(Debug)]
struct Address {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

/// Sockets of one address.
#[derive(Clone, Copy, Debug, Default)]
struct SocketCounts {
    all: usize,
    strangers: usize,
}

/// Lets one socket of an address be, until it is dropped.
#[derive(Debug, Default)]
pub struct AddressPermit(Option<Arc<Address>>);

/// Lets one socket be that has not shown a valid token, until it is dropped.
#[derive(Debug, Default)]
pub struct Admission(Option<Arc<Address>>);

impl AddressLimits {
    /// Limits as configured; none when they are off.
    #[must_use]
    pub fn new(config: &LimitsConfig) -> Self {
        let most = SocketCounts {
            all: config.connections_per_address,
            strangers: config.unauthenticated_per_address,
        };
        Self(config.enabled.then(|| Arc::new(Addresses { known: DashMap::new(), most })))
    }

    /// Permits a new socket; none when the address has as many as it may.
    #[must_use]
    pub fn admit(&self, address: IpAddr) -> Option<(AddressPermit, Admission)> {
        let Some(addresses) = &self.0 else { return Some((AddressPermit(None), Admission(None))) };
        let address = network(address);
        let mut known = addresses.known.entry(address).or_insert_with(|| Known {
            counts: SocketCounts::default(),
            address: Arc::new(Address { addresses: addresses.clone(), address }),
        });
        let counts = &mut known.counts;
        if counts.all >= addresses.most.all || counts.strangers >= addresses.most.strangers {
            return None;
        }
        counts.all += 1;
        counts.strangers += 1;
        Some((AddressPermit(Some(known.address.clone())), Admission(Some(known.address.clone()))))
    }
}

impl Address {
    fn give_back(&self, change: impl FnOnce(&mut SocketCounts)) {
        if let Entry::Occupied(mut known) = self.addresses.known.entry(self.address) {
            change(&mut known.get_mut().counts);
            if known.get().counts.all == 0 {
                known.remove();
            }
        }
    }
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        if let Some(address) = self.0.take() {
            address.give_back(|counts| counts.all = counts.all.saturating_sub(1));
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if let Some(address) = self.0.take() {
            address.give_back(|counts| counts.strangers = counts.strangers.saturating_sub(1));
        }
    }
}

/// One subscriber has a /64 of IPv6; it counts as one address.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(all: usize, strangers: usize) -> AddressLimits {
        let most = SocketCounts { all, strangers };
        AddressLimits(Some(Arc::new(Addresses { known: DashMap::new(), most })))
    }

    #[test]
    fn an_address_holds_its_share_and_no_more() {
        let limits = limits(3, 2);
        let here: IpAddr = "192.0.2.1".parse().unwrap();
        let (_one, stranger) = limits.admit(here).unwrap();
        let (_two, _) = limits.admit(here).unwrap();
        let (three, _other) = limits.admit(here).unwrap();
        assert!(limits.admit(here).is_none(), "three are held");
        assert!(limits.admit("192.0.2.2".parse().unwrap()).is_some());
        drop(three);
        assert!(limits.admit(here).is_none(), "two strangers are held");
        drop(stranger);
        assert!(limits.admit(here).is_some());
    }

    #[test]
    fn a_subnet_of_ipv6_counts_as_one() {
        let limits = limits(1, 1);
        let _permit = limits.admit("2001:db8::1".parse().unwrap()).unwrap();
        assert!(limits.admit("2001:db8::2".parse().unwrap()).is_none());
        assert!(limits.admit("2001:db8:0:1::1".parse().unwrap()).is_some());
    }

    #[test]
    fn nothing_is_kept_of_an_address_that_left() {
        let limits = limits(2, 2);
        drop(limits.admit("192.0.2.1".parse().unwrap()).unwrap());
        assert!(limits.0.unwrap().known.is_empty());
    }
}
