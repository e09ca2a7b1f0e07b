//! How long it takes until an event is tried again.

use std::time::Duration;

use rand::Rng;

/// First, and at most.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_mins(10);

/// How long it takes until an event is tried again that was tried so often: twice as long each time, and
/// a little more or less, so that those that failed together do not come together; or when the backend asks
/// for it.
pub(super) fn wait(attempts: i64, asked: Option<Duration>) -> Duration {
    if let Some(asked) = asked {
        return asked.max(FIRST_WAIT);
    }
    let doubled = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    let wait = FIRST_WAIT.saturating_mul(1 << doubled).min(LAST_WAIT);
    wait.mul_f64(rand::rng().random_range(0.8..1.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_ten_minutes() {
        for (attempts, seconds) in [(1, 1), (2, 2), (3, 4), (10, 512), (11, 600), (1000, 600)] {
            let wait = wait(attempts, None);
            let (least, most) = (wait.mul_f64(1.0 / 1.2), wait.mul_f64(1.0 / 0.8));
            let expected = Duration::from_secs(seconds);
            assert!((least..=most).contains(&expected), "{attempts}: {wait:?}");
        }
        let hour = Duration::from_hours(1);
        assert_eq!((wait(9, Some(Duration::ZERO)), wait(1, Some(hour))), (FIRST_WAIT, hour));
    }
}
