//! This machine's clock, against those of others that could be asked.

use std::time::Duration;

use stoa::clock::Timestamp;

use super::finding::{Check, Finding};

/// How far it may be off: tokens end too early or too late, and nodes differ about who is here.
const OFF: i64 = 5_000;
const FAR_OFF: i64 = 60_000;

/// What another clock said.
pub(super) struct Told {
    /// Whose it is.
    pub(super) whose: String,
    /// What it said.
    pub(super) there: Timestamp,
    /// When that was here.
    pub(super) here: Timestamp,
    /// How exact that is: how long the answer took, and what it is rounded to.
    pub(super) within: Duration,
}

pub(super) fn look(told: &[Told]) -> Vec<Finding> {
    if told.is_empty() {
        return vec![Check::Clock.note(
            "nobody could be asked for the time",
            "`timedatectl` says whether a time service sets it; with --url the clock behind that is asked",
        )];
    }
    told.iter().map(judge).collect()
}

fn judge(told: &Told) -> Finding {
    let off = told.here.millis() - told.there.millis();
    let within = i64::try_from(told.within.as_millis()).unwrap_or(i64::MAX);
    let at_least = off.abs().saturating_sub(within);
    if at_least <= OFF {
        return Check::Clock.ok(format!("this machine's clock is that of {}", told.whose));
    }
    let way = if off > 0 { "ahead of" } else { "behind" };
    let found =
        format!("this machine's clock is {} s {way} that of {}", off.abs() / 1000, told.whose);
    let advice = "let a time service set both: `timedatectl set-ntp true`, or chrony; the ends of tokens and \
                  who is here go by the clock";
    if at_least > FAR_OFF {
        Check::Clock.problem(found, advice)
    } else {
        Check::Clock.warning(found, advice)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Level, *};

    #[test]
    fn what_an_answer_is_not_exact_to_is_not_held_against_the_clock() {
        let told = |off: i64, within: u64| {
            let here = Timestamp::from_millis(1_800_000_000_000);
            let there = Timestamp::from_millis(here.millis() - off);
            judge(&Told {
                whose: "Redis".to_owned(),
                there,
                here,
                within: Duration::from_millis(within),
            })
        };
        for (off, within, level) in [
            (0, 0, Level::Ok),
            (5_000, 0, Level::Ok),
            (-5_900, 1_000, Level::Ok),
            (5_001, 0, Level::Warning),
            (-60_000, 0, Level::Warning),
            (61_000, 1_000, Level::Warning),
            (61_001, 1_000, Level::Problem),
            (-3_600_000, 1_000, Level::Problem),
        ] {
            assert_eq!(told(off, within).level, level, "{off} {within}");
        }
        assert!(told(7_000, 0).found.contains("7 s ahead of that of Redis"));
        assert!(told(-7_000, 0).found.contains("7 s behind"));
        assert_eq!(look(&[])[0].level, Level::Note);
    }
}
