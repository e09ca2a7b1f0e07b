//! How much of the payment provider one user may have: so many calls a minute, so many at once. Who
//! has had their share is refused before anything is written down.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use dashmap::DashMap;
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::refusals::RETRY_AFTER;
use crate::{
    config::RatePerMinute,
    error::{Code, Error, Result},
    id::Id,
};

/// After so many calls the users are forgotten whose buckets are full again.
const FORGET_EVERY: u32 = 1024;

/// What users may ask of the provider, by one kind of call. Cheap to clone.
#[derive(Clone)]
pub(super) struct Allowance(Arc<Inner>);

struct Inner {
    /// None where rates are lifted.
    rates: Option<DefaultKeyedRateLimiter<Id>>,
    checked: AtomicU32,
    /// The permits of each user who has a call under way or waits for one.
    users: DashMap<Id, Arc<Semaphore>>,
    at_once: usize,
    /// The permits of all.
    all: Arc<Semaphore>,
    patience: Duration,
}

/// Lets one call be under way, until it is dropped.
pub(super) struct CallPermit {
    allowance: Allowance,
    user: Id,
    /// Given back before the user is forgotten.
    permits: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

impl Allowance {
    /// So many calls a minute, and `at_once` under way for one user; `all` are for everybody. Who
    /// has no permit waits for `patience`.
    pub(super) fn new(
        rate: Option<RatePerMinute>,
        at_once: usize,
        all: Arc<Semaphore>,
        patience: Duration,
    ) -> Self {
        let at_least_one = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        let quota = |rate: RatePerMinute| {
            Quota::per_minute(at_least_one(rate.per_minute)).allow_burst(at_least_one(rate.burst))
        };
        Self(Arc::new(Inner {
            rates: rate.map(|rate| RateLimiter::keyed(quota(rate))),
            checked: AtomicU32::new(0),
            users: DashMap::new(),
            at_once,
            all,
            patience,
        }))
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when there is none for too long.
    pub(super) async fn permit(&self, user: &Id) -> Result<CallPermit> {
        let mut permit = CallPermit { allowance: self.clone(), user: user.clone(), permits: None };
        let permits = async {
            let own = self.permits(user).acquire_owned().await?;
            Ok((own, self.0.all.clone().acquire_owned().await?))
        };
        let permits = timeout(self.0.patience, permits).await.map_err(|_| {
            Error::new(Code::Unavailable, "The payment provider has much to do; try again.")
                .with_retry_after(RETRY_AFTER)
        })?;
        permit.permits =
            Some(permits.map_err(|closed: tokio::sync::AcquireError| Error::internal(closed))?);
        Ok(permit)
    }

    fn permits(&self, user: &Id) -> Arc<Semaphore> {
        let known = self.0.users.entry(user.clone());
        known.or_insert_with(|| Arc::new(Semaphore::new(self.0.at_once))).clone()
    }

    /// Takes one of the user's calls.
    ///
    /// # Errors
    /// [`Code::RateLimited`], with when to try again.
    pub(super) fn take(&self, user: &Id) -> Result<()> {
        let Some(rates) = &self.0.rates else { return Ok(()) };
        if self.0.checked.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            rates.retain_recent();
        }
        rates.check_key(user).map_err(|later| {
            let wait = later.wait_time_from(DefaultClock::default().now());
            Error::new(Code::RateLimited, "The payment provider was asked too often; try later.")
                .with_retry_after(wait.max(Duration::from_secs(1)))
        })
    }
}

impl Drop for CallPermit {
    fn drop(&mut self) {
        self.permits = None;
        // Whoever waits holds the semaphore too.
        self.allowance.0.users.remove_if(&self.user, |_, permits| Arc::strong_count(permits) == 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowance(at_once: usize, all: usize) -> Allowance {
        let rate = RatePerMinute { per_minute: 1, burst: 2 };
        let all = Arc::new(Semaphore::new(all));
        Allowance::new(Some(rate), at_once, all, Duration::from_secs(30))
    }

    fn id(text: &str) -> Id {
        Id::new(text).unwrap()
    }

    #[test]
    fn one_who_has_had_their_share_is_told_when_there_is_more() {
        let allowance = allowance(1, 1);
        assert!(allowance.take(&id("ann")).is_ok());
        assert!(allowance.take(&id("ann")).is_ok());
        let refused = allowance.take(&id("ann")).unwrap_err();
        assert_eq!(refused.code(), Code::RateLimited);
        let wait = refused.retry_after().unwrap();
        assert!((1..=60).contains(&wait.as_secs()), "{wait:?}");
        assert!(allowance.take(&id("bob")).is_ok(), "another has a share of their own");
    }

    #[tokio::test(start_paused = true)]
    async fn a_user_waits_for_their_own_calls_and_all_wait_for_all() {
        let allowance = allowance(1, 2);
        let first = allowance.permit(&id("ann")).await.unwrap();
        let refused = allowance.permit(&id("ann")).await.err().unwrap();
        assert_eq!(refused.code(), Code::Unavailable);
        let second = allowance.permit(&id("bob")).await.unwrap();
        assert!(allowance.permit(&id("cid")).await.is_err(), "two are under way");
        drop(first);
        let third = allowance.permit(&id("ann")).await.unwrap();
        drop((second, third));
        assert!(allowance.0.users.is_empty(), "nobody is remembered");
    }
}
