//! `[users]`: tokens that are made for others, and how long their end is remembered.
#![expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives its context by reference")]

use std::time::Duration;

use garde::Validate;
use serde::{Deserialize, Serialize};

use super::rules::require;

/// `[users]`
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[garde(allow_unvalidated)]
pub struct UsersConfig {
    /// How long a token lives that a backend has made, where it does not say.
    #[serde(with = "humantime_serde")]
    #[garde(custom(seconds), custom(at_most(self.longest_token_life)))]
    pub token_life: Duration,
    /// The longest that it may ask for.
    #[serde(with = "humantime_serde")]
    #[garde(custom(seconds))]
    pub longest_token_life: Duration,
    /// How long it is remembered that tokens were revoked whose end is not known.
    #[serde(with = "humantime_serde")]
    #[garde(custom(seconds), custom(at_least(self.longest_token_life)))]
    pub revocation_life: Duration,
    /// Revocations and blocks that are kept.
    #[garde(range(min = 1))]
    pub max_revocations: usize,
}

fn seconds(duration: &Duration, (): &()) -> garde::Result {
    require(*duration >= Duration::from_secs(1), "has to be at least 1s")
}

fn at_most(longest: Duration) -> impl FnOnce(&Duration, &()) -> garde::Result {
    move |duration, ()| require(*duration <= longest, "is longer than longest_token_life")
}

fn at_least(longest: Duration) -> impl FnOnce(&Duration, &()) -> garde::Result {
    move |duration, ()| {
        let sentence =
            "is shorter than longest_token_life: a token that was revoked would hold again";
        require(*duration >= longest, sentence)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    use super::*;

    #[test]
    fn a_revocation_is_remembered_for_as_long_as_a_token_of_ours_may_live() {
        let refused = |change: fn(&mut UsersConfig)| {
            let mut users = Config::for_tests().users;
            change(&mut users);
            let report = users.validate().err();
            report.map(|report| report.iter().map(|(path, _)| path.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(refused(|users| users.revocation_life = users.longest_token_life), None);
        let shorter = refused(|users| {
            users.longest_token_life = users.revocation_life + Duration::from_secs(1);
        });
        assert_eq!(shorter, Some(vec!["revocation_life".to_owned()]));
        let longer = refused(|users| {
            users.token_life = users.longest_token_life + Duration::from_secs(1);
        });
        assert_eq!(longer, Some(vec!["token_life".to_owned()]));
    }
}
