//! How many packets of one transport may be no event within its rate: pings, CONNECTs,
//! acknowledgements that nobody asked for, parts of a message, events that were refused. Who goes
//! on beyond that is not heard.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::{
    clock::Clock,
    config::{LimitsConfig, Rate},
};

/// The rate, for all transports.
#[derive(Clone, Debug)]
pub struct PacketLimit {
    rate: Rate,
    clock: Clock,
}

impl PacketLimit {
    /// The rate as configured; none when limits are off.
    #[must_use]
    pub fn new(config: &LimitsConfig, clock: Clock) -> Option<Self> {
        config.enabled.then_some(Self { rate: config.packets, clock })
    }

    /// A clock of seconds, never at zero; only differences are looked at, so it may well begin anew.
    fn seconds(&self) -> u16 {
        u16::try_from(self.clock.now().seconds() & i64::from(u16::MAX)).unwrap_or(0).max(1)
    }
}

/// What one transport has used of its bucket. Links are many, so it is four bytes: how many tokens
/// are out, and the second in which some were last put back, zero before the first. The clock is asked
/// then, and when the bucket seems empty.
#[derive(Debug, Default)]
pub struct Allowance(AtomicU32);

impl Allowance {
    /// Takes a token for each packet; false when there are not as many.
    #[must_use]
    pub fn take(&self, packets: usize, limit: &PacketLimit) -> bool {
        let packets = u32::try_from(packets).unwrap_or(u32::MAX);
        let mut enough = true;
        let take = |state| {
            let (mut out, mut since) = parts(state);
            if since == 0 {
                since = limit.seconds();
            }
            out = out.saturating_add(packets);
            if out > limit.rate.burst {
                let now = limit.seconds();
                let back = u32::from(now.wrapping_sub(since)).saturating_mul(limit.rate.per_second);
                out = out.saturating_sub(back);
                since = now;
            }
            enough = out <= limit.rate.burst;
            Some(whole(out, since))
        };
        // It always changes.
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, take);
        enough
    }

    /// Puts one back: the packet was an event within its rate.
    pub fn give_back(&self) {
        let give = |state| {
            let (out, since) = parts(state);
            (out > 0).then(|| whole(out - 1, since))
        };
        // Nothing is out when it was put back by the clock meanwhile.
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, give);
    }
}

fn parts(state: u32) -> (u32, u16) {
    let [a, b, c, d] = state.to_be_bytes();
    (u32::from(u16::from_be_bytes([a, b])), u16::from_be_bytes([c, d]))
}

fn whole(out: u32, since: u16) -> u32 {
    u32::from(u16::try_from(out).unwrap_or(u16::MAX)) << 16 | u32::from(since)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Timestamp;

    fn limit(clock: &Clock) -> PacketLimit {
        PacketLimit { rate: Rate { per_second: 10, burst: 20 }, clock: clock.clone() }
    }

    #[test]
    fn as_many_packets_as_the_bucket_holds_are_heard_and_more_as_time_goes_by() {
        let clock = Clock::manual(Timestamp::from_millis(10_000));
        let (limit, allowance) = (limit(&clock), Allowance::default());
        assert!(allowance.take(20, &limit));
        assert!(!allowance.take(1, &limit), "the bucket is empty, from the start");
        clock.advance(Duration::from_secs(1));
        assert!(allowance.take(9, &limit), "a second has put ten back, and one was taken");
        assert!(!allowance.take(1, &limit));
    }

    #[test]
    fn events_within_their_rate_cost_nothing() {
        let clock = Clock::manual(Timestamp::from_millis(10_000));
        let (limit, allowance) = (limit(&clock), Allowance::default());
        for _ in 0..1000 {
            assert!(allowance.take(1, &limit));
            allowance.give_back();
        }
        allowance.give_back();
        assert!(allowance.take(20, &limit));
        assert!(!allowance.take(1, &limit));
    }

    #[test]
    fn a_flood_of_more_than_can_be_counted_is_none_the_less_one() {
        let clock = Clock::manual(Timestamp::from_millis(10_000));
        let (limit, allowance) = (limit(&clock), Allowance::default());
        assert!(!allowance.take(usize::MAX, &limit));
        assert!(!allowance.take(1, &limit));
    }
}
