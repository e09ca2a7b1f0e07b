//! `[points]`: the levels that points reach.
#![expect(clippy::ptr_arg, clippy::trivially_copy_pass_by_ref, reason = "garde gives references")]

use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rules::require;

/// `[points]`
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
pub struct PointsConfig {
    /// The levels, the lowest first.
    #[garde(length(min = 1, max = 100), custom(rising), dive)]
    pub levels: Vec<Level>,
}

/// A level and what it brings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct Level {
    /// Its number.
    pub level: u32,
    /// The lifetime points that reach it.
    pub points: i64,
    /// All that it brings, in the app's own words.
    #[serde(default)]
    #[garde(length(max = 50), inner(length(chars, min = 1, max = 100)))]
    pub perks: Vec<String>,
}

/// Everyone is on the first, and each is higher than the one before.
fn rising(levels: &Vec<Level>, (): &()) -> garde::Result {
    require(levels.first().is_none_or(|first| first.points == 0), "begin with one of 0 points")?;
    let rises = |two: &[Level]| two[0].level < two[1].level && two[0].points < two[1].points;
    require(levels.windows(2).all(rises), "have numbers and points that rise")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_begin_at_nothing_and_rise() {
        let level = |(level, points)| Level { level, points, perks: Vec::new() };
        let levels =
            |all: &[(u32, i64)]| PointsConfig { levels: all.iter().copied().map(level).collect() };
        for good in [&[(1, 0)][..], &[(0, 0), (1, 1)], &[(1, 0), (5, 10), (6, 11)]] {
            assert!(levels(good).validate().is_ok(), "{good:?}");
        }
        for bad in [&[][..], &[(1, 1)], &[(1, 0), (1, 5)], &[(1, 0), (2, 0)], &[(2, 0), (1, 5)]] {
            assert!(levels(bad).validate().is_err(), "{bad:?}");
        }
    }
}
