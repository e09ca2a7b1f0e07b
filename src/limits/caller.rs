//! How fast one caller may ask, over REST and over all of their sockets: a token bucket for each caller
//! and class of requests, kept for as long as it is not full.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::NoOpMiddleware,
    state::keyed::DashMapStateStore,
};

use super::{quota, quota_per_minute};
use crate::{
    config::LimitsConfig,
    error::{Code, Error, Result},
};

/// Requests between two looks for buckets that are full again, at least.
const SWEEP: usize = 4096;

/// The buckets of all callers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CallerRates(Option<Arc<[Buckets<DefaultClock>; 13]>>);

/// What a caller asks for, or as what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallerClass {
    /// A user who changes something over REST, other than by a message.
    Write,
    /// A user who reads over REST.
    Read,
    /// A backend service or an admin.
    Operator,
    /// An address without valid credentials.
    Stranger,
    /// A user who sends messages, over REST and over all of their sockets.
    Message,
    /// A user who types, over all of their sockets.
    Typing,
    /// A user who enters and leaves rooms, over all of their sockets.
    Join,
    /// An address that tries passwords for one account.
    Login,
    /// An account that passwords are tried for.
    AccountLogin,
    /// An address that tries passwords for whichever account.
    AddressLogin,
    /// An address that makes accounts.
    Registration,
    /// An account that a new password is asked for.
    PasswordReset,
    /// A user for whom backend services act.
    Acting,
}

impl CallerClass {
    /// Its name, for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Read => "read",
            Self::Operator => "operator",
            Self::Stranger => "stranger",
            Self::Message => "message",
            Self::Typing => "typing",
            Self::Join => "join",
            Self::Login => "login",
            Self::AccountLogin => "account_login",
            Self::AddressLogin => "address_login",
            Self::Registration => "registration",
            Self::PasswordReset => "password_reset",
            Self::Acting => "acting",
        }
    }
}

impl CallerRates {
    /// Rates as configured; none when limits are off.
    #[must_use]
    pub fn new(config: &LimitsConfig) -> Self {
        let quotas = [
            quota(config.rest_writes),
            quota(config.rest_reads),
            quota(config.rest_operators),
            quota(config.rest_strangers),
            quota(config.messages),
            quota(config.typing),
            quota(config.user_joins),
            quota_per_minute(config.logins),
            quota_per_minute(config.account_logins),
            quota_per_minute(config.address_logins),
            quota_per_minute(config.registrations),
            quota_per_minute(config.password_resets),
            quota(config.rest_acting),
        ];
        let buckets = || Arc::new(quotas.map(|quota| Buckets::new(quota, DefaultClock::default())));
        Self(config.enabled.then(buckets))
    }

    /// Takes a token of the caller's.
    ///
    /// # Errors
    /// [`Code::RateLimited`] with the time until there is one.
    pub fn take(&self, class: CallerClass, caller: &impl Hash) -> Result<()> {
        let Some(buckets) = &self.0 else { return Ok(()) };
        buckets[class as usize].take(caller).map_err(|wait| {
            let sentence = "Too many requests; try again in a moment.";
            Error::new(Code::RateLimited, sentence).with_retry_after(wait)
        })
    }
}

/// The buckets of one class, each by the hash of its caller.
#[derive(Debug)]
struct Buckets<C: Clock> {
    limiter: RateLimiter<u64, DashMapStateStore<u64>, C, NoOpMiddleware<C::Instant>>,
    hasher: RandomState,
    until_sweep: AtomicUsize,
}

impl<C: Clock> Buckets<C> {
    fn new(quota: Quota, clock: C) -> Self {
        Self {
            limiter: RateLimiter::new(quota, DashMapStateStore::default(), clock),
            hasher: RandomState::new(),
            until_sweep: AtomicUsize::new(SWEEP),
        }
    }

    /// Takes a token; else the time until there is one.
    fn take(&self, caller: &impl Hash) -> Result<(), Duration> {
        self.sweep();
        let taken = self.limiter.check_key(&self.hasher.hash_one(caller));
        taken.map_err(|refused| refused.wait_time_from(self.limiter.clock().now()))
    }

    /// Forgets the buckets that are full again, after so many requests that there can't be more
    /// than twice as many buckets as were not full the last time.
    fn sweep(&self) {
        let count = |left: usize| left.checked_sub(1);
        if self.until_sweep.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count) == Ok(1) {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
            self.until_sweep.store(self.limiter.len().max(SWEEP), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;
    use crate::config::Rate;

    fn buckets(per_second: u32, burst: u32) -> (Buckets<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (Buckets::new(quota(Rate { per_second, burst }), clock.clone()), clock)
    }

    #[test]
    fn who_waits_as_long_as_told_is_let_in() {
        let (buckets, clock) = buckets(2, 3);
        for _ in 0..3 {
            assert_eq!(buckets.take(&"ann"), Ok(()));
        }
        assert_eq!(buckets.take(&"ann"), Err(Duration::from_millis(500)));
        assert_eq!(buckets.take(&"bob"), Ok(()), "another caller");
        clock.advance(Duration::from_millis(499));
        assert_eq!(buckets.take(&"ann"), Err(Duration::from_millis(1)));
        clock.advance(Duration::from_millis(1));
        assert_eq!(buckets.take(&"ann"), Ok(()));
    }

    #[test]
    fn what_is_kept_is_what_was_asked_lately() {
        let (buckets, clock) = buckets(1, 2);
        for caller in 0..100 * SWEEP {
            assert_eq!(buckets.take(&caller), Ok(()));
            clock.advance(Duration::from_millis(1));
        }
        // A bucket is full a second after one token was taken: that is a thousand callers.
        assert!(buckets.limiter.len() <= 1000 + SWEEP, "{}", buckets.limiter.len());
    }
}
