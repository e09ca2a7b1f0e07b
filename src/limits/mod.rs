//! Rates and caps: what an address and a user may hold, how fast one connection may ask, and how
//! fast one caller.

mod address;
mod caller;
mod packets;
mod peer;
mod user;

use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

pub use address::{AddressLimits, AddressPermit, Admission, network};
pub use caller::{CallerClass, CallerRates};
pub use packets::{Allowance, PacketLimit};
pub use peer::{PeerLimits, PeerPermit};
pub use user::UserLimits;

use crate::{
    config::{LimitsConfig, Rate, RatePerMinute},
    event::EventClass,
};

/// The token buckets of one connection, one for each [`EventClass`].
#[derive(Debug)]
pub struct EventRates([DefaultDirectRateLimiter; 5]);

impl EventRates {
    /// Full buckets.
    #[must_use]
    pub fn new(config: &LimitsConfig) -> Self {
        let rates = [config.joins, config.typing, config.messages, config.refreshes, config.other];
        Self(rates.map(|rate| RateLimiter::direct(quota(rate))))
    }

    /// Takes a token; false when there is none.
    #[must_use]
    pub fn take(&self, class: EventClass) -> bool {
        self.0[class as usize].check().is_ok()
    }
}

fn quota(rate: Rate) -> Quota {
    Quota::per_second(at_least_one(rate.per_second)).allow_burst(at_least_one(rate.burst))
}

fn quota_per_minute(rate: RatePerMinute) -> Quota {
    Quota::per_minute(at_least_one(rate.per_minute)).allow_burst(at_least_one(rate.burst))
}

fn at_least_one(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN)
}
