//! Which addresses are whose: those of private networks, and those of everybody's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where what is sent may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Anywhere.
    Any,
    /// To this machine and private networks.
    Private,
    /// To what anybody can reach, and neither this machine nor a private network.
    Public,
}

impl Network {
    /// Whether an address is there.
    #[must_use]
    pub fn has(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Private => is_private(address),
            Self::Public => is_public(address),
        }
    }
}

/// Whether an address is one of this machine or of a private network (RFC 1918, RFC 4193).
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    }
}

/// Whether an address is one that anybody can reach: none of those that the registries of special
/// addresses keep for something else (RFC 6890, and IANA's registries after it).
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let special = match address.octets() {
        // This network; shared by a carrier's customers; protocols; benchmarks; what is reserved.
        [0 | 240..=255, ..] | [100, 64..=127, ..] | [192, 0, 0, _] | [198, 18..=19, ..] => true,
        _ => {
            address.is_loopback()
                || address.is_private()
                || address.is_link_local()
                || address.is_documentation()
                || address.is_multicast()
        }
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, .., high, low] = address.segments();
    let inside = || {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match (first, second) {
        // What is translated to IPv4 (NAT64) is there.
        (0x64, 0xff9b) => is_public_v4(inside()),
        // Protocols, Teredo, documentation; 6to4.
        (0x2001, 0..=0x01ff | 0xdb8) | (0x2002, _) => false,
        // Of the rest 2000::/3 alone is given out.
        _ => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_for_something_else_is_not_public() {
        for address in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.0.1",
            "198.18.0.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "fc00::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:a00:1::1",
            "100::1",
        ] {
            assert!(!Network::Public.has(address.parse().unwrap()), "{address}");
        }
        for address in ["8.8.8.8", "1.1.1.1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2606:4700::1"]
        {
            assert!(Network::Public.has(address.parse().unwrap()), "{address}");
            assert!(!Network::Private.has(address.parse().unwrap()), "{address}");
        }
    }
}
