//! Which level so many points have reached.

use std::sync::Arc;

use crate::config::{Level, PointsConfig};

/// The levels, the lowest first. Cheap to clone.
#[derive(Clone)]
pub(super) struct Levels(Arc<[Level]>);

impl Levels {
    /// As configured, which has been checked.
    pub(super) fn new(config: &PointsConfig) -> Self {
        Self(config.levels.as_slice().into())
    }

    /// The level of so many points, which is the lowest for less than none; and the next one.
    pub(super) fn of(&self, lifetime: i64) -> (&Level, Option<&Level>) {
        let reached = self.0.partition_point(|level| level.points <= lifetime).max(1);
        (&self.0[reached - 1], self.0.get(reached))
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Level] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_reached_with_its_last_point() {
        let level = |level, points| Level { level, points, perks: Vec::new() };
        let levels = vec![level(1, 0), level(2, 100), level(5, 101)];
        let levels = Levels::new(&PointsConfig { levels });
        for (points, reached, next) in [
            (-1, 1, Some(2)),
            (0, 1, Some(2)),
            (99, 1, Some(2)),
            (100, 2, Some(5)),
            (101, 5, None),
            (i64::MAX, 5, None),
        ] {
            let (now, after) = levels.of(points);
            assert_eq!((now.level, after.map(|level| level.level)), (reached, next), "{points}");
        }
    }
}
