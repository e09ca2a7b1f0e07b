//! How far the kept events have been handed on, in the order of all of them. Positions are taken before
//! a commit, so on Postgres a later one may be committed first: what is below the highest and has not
//! come yet is missing.

use std::{collections::BTreeSet, fmt, str::FromStr};

/// The highest position that was handed on, and those below it that were not. As text it is the offset
/// that clients keep (docs/contract/events.md#missed-events): the highest in base 36, then how far each
/// missing one is below it; `!`, which is none to come back with, while very many are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    top: i64,
    missing: BTreeSet<i64>,
}

/// Why a string is not a [`Reach`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an offset")]
pub struct InvalidReach;

/// Positions that may be missing. Those below are taken for rolled back: a unit announces a thousand events
/// at most, and so many units are never under way together.
pub(super) const MOST_MISSING: usize = 10_000;

/// Positions that an offset names as missing, at most.
const MOST_NAMED: usize = 256;

/// An offset where there are more.
const TOO_MANY: &str = "!";

/// Digits of an offset.
const RADIX: u32 = 36;

impl Reach {
    /// All that is committed up to a position.
    #[must_use]
    pub fn upto(top: i64) -> Self {
        Self { top, missing: BTreeSet::new() }
    }

    /// The same without some below it.
    #[must_use]
    pub fn without(top: i64, missing: impl IntoIterator<Item = i64>) -> Self {
        Self { top, missing: missing.into_iter().filter(|position| *position < top).collect() }
    }

    /// The same where the highest itself may not be there either.
    #[must_use]
    pub fn among(top: i64, missing: impl IntoIterator<Item = i64>) -> Self {
        let mut missing: BTreeSet<i64> =
            missing.into_iter().filter(|position| *position <= top).collect();
        let mut top = top;
        while missing.remove(&top) {
            top -= 1;
        }
        Self { top, missing }
    }

    /// How far who had come to `offset` has come when these positions are replayed to them, up to the one
    /// at an index: what comes later of them is missing, and what was missing before and is not there
    /// yet. Where one stands several times it is one event, which is heard with the last.
    #[must_use]
    pub fn replayed(positions: &[i64], at: usize, offset: Option<&Self>, until: &Self) -> Self {
        let before = offset.map_or(i64::MIN, Self::top);
        let later = &positions[at + 1..];
        let top = positions[at].max(before);
        let of_offset = offset.into_iter().flat_map(Self::missing);
        let still = of_offset
            .filter(|position| later.binary_search(position).is_ok() || !until.has(*position));
        let under_way = until.missing().filter(|position| (before + 1..top).contains(position));
        Self::among(top, still.chain(under_way).chain(later.iter().copied()))
    }

    /// The highest.
    #[must_use]
    pub fn top(&self) -> i64 {
        self.top
    }

    /// Those below the highest that are not there.
    pub fn missing(&self) -> impl Iterator<Item = i64> + '_ {
        self.missing.iter().copied()
    }

    /// Whether an event has been handed on.
    #[must_use]
    pub fn has(&self, position: i64) -> bool {
        position <= self.top && !self.missing.contains(&position)
    }

    /// Whether all that the other has is here.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.top >= other.top && self.missing.iter().all(|position| !other.has(*position))
    }

    /// Up to which position nothing is missing.
    #[must_use]
    pub fn settled(&self) -> i64 {
        self.missing.first().map_or(self.top, |first| first - 1)
    }

    /// Notes an event.
    pub fn mark(&mut self, position: i64) {
        if position <= self.top {
            self.missing.remove(&position);
            return;
        }
        let skipped = self.top + 1..position;
        let most = i64::try_from(MOST_MISSING).unwrap_or(i64::MAX);
        self.missing.extend(skipped.start.max(position - most)..skipped.end);
        while self.missing.len() > MOST_MISSING {
            self.missing.pop_first();
        }
        self.top = position;
    }

    /// Notes that there will never be an event of a position.
    pub(super) fn forget(&mut self, position: i64) {
        self.missing.remove(&position);
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.missing.len() > MOST_NAMED {
            return f.write_str(TOO_MANY);
        }
        digits(f, self.top)?;
        self.missing.iter().try_for_each(|position| {
            f.write_str("-")?;
            digits(f, self.top - position)
        })
    }
}

fn digits(f: &mut fmt::Formatter<'_>, number: i64) -> fmt::Result {
    let mut left = u64::try_from(number).unwrap_or(0);
    // As many as an i64 has.
    let mut digits = [0; 13];
    let mut at = digits.len();
    loop {
        at -= 1;
        let digit = u32::try_from(left % u64::from(RADIX)).unwrap_or(0);
        digits[at] = char::from_digit(digit, RADIX).map_or(b'0', |digit| digit as u8);
        left /= u64::from(RADIX);
        if left == 0 {
            break;
        }
    }
    f.write_str(std::str::from_utf8(&digits[at..]).unwrap_or("0"))
}

impl FromStr for Reach {
    type Err = InvalidReach;

    fn from_str(text: &str) -> Result<Self, InvalidReach> {
        let number = |text: &str| {
            let is_one = (1..=13).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
            let number = is_one.then(|| i64::from_str_radix(text, RADIX).ok()).flatten();
            number.ok_or(InvalidReach)
        };
        let mut parts = text.split('-').take(MOST_NAMED + 2);
        let top = number(parts.next().unwrap_or_default())?;
        let mut missing = BTreeSet::new();
        for part in parts {
            let below = number(part)?;
            if below == 0 || below > top || missing.len() == MOST_NAMED {
                return Err(InvalidReach);
            }
            missing.insert(top - below);
        }
        Ok(Self { top, missing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(top: i64, missing: &[i64]) -> Reach {
        Reach::without(top, missing.iter().copied())
    }

    #[test]
    fn what_comes_later_is_missing_until_it_is_there() {
        let mut at = Reach::upto(5);
        at.mark(6);
        assert_eq!((at.settled(), at.has(6), at.has(7)), (6, true, false));
        at.mark(9);
        assert_eq!(at, reach(9, &[7, 8]));
        assert_eq!((at.settled(), at.has(7), at.has(9)), (6, false, true));
        at.mark(7);
        at.forget(8);
        assert_eq!(at, Reach::upto(9));
        assert!(at.covers(&reach(9, &[8])) && !reach(9, &[8]).covers(&at));
        assert!(reach(12, &[10]).covers(&at) && !at.covers(&reach(12, &[10])));
    }

    #[test]
    fn a_client_that_is_cut_off_in_the_middle_has_what_it_heard() {
        // It had all up to 10 but 7 and 8; 8 was rolled back, and is missing here, too; 12 is under way.
        let (offset, until) = (reach(10, &[7, 8]), reach(15, &[8, 12]));
        let positions = [7, 11, 13, 13, 15];
        let after = |at| Reach::replayed(&positions, at, Some(&offset), &until);
        assert_eq!(after(0), reach(10, &[8]));
        assert_eq!(after(1), reach(11, &[8]));
        // It is one event, and not all of it.
        assert_eq!(after(2), reach(11, &[8]));
        assert_eq!(after(3), reach(13, &[8, 12]));
        assert_eq!(after(4), reach(15, &[8, 12]));
    }

    #[test]
    fn who_has_heard_nothing_yet_comes_as_far_as_what_they_hear() {
        let until = reach(9, &[4]);
        let after = |at| Reach::replayed(&[3, 6], at, None, &until);
        assert_eq!(after(0), Reach::upto(3));
        assert_eq!(after(1), reach(6, &[4]));
    }

    #[test]
    fn more_than_can_be_under_way_is_given_up() {
        let mut at = Reach::upto(0);
        at.mark(i64::MAX - 1);
        assert_eq!(at.missing().count(), MOST_MISSING);
        assert!(at.has(1) && !at.has(i64::MAX - 2));
    }

    #[test]
    fn an_offset_that_would_name_very_many_is_none_to_come_back_with() {
        let most = i64::try_from(MOST_NAMED).unwrap();
        let among = |many: i64| Reach::without(many + 1, 1..=many);
        assert_eq!(among(most).to_string().parse(), Ok(among(most)));
        assert_eq!(among(most + 1).to_string(), "!");
        assert_eq!("!".parse::<Reach>(), Err(InvalidReach));
    }

    #[test]
    fn an_offset_reads_back_as_it_was_written() {
        for (at, text) in [
            (Reach::upto(0), "0"),
            (Reach::upto(35), "z"),
            (reach(6410, &[6368, 6369]), "4y2-16-15"),
            (Reach::upto(i64::MAX), "1y2p0ij32e8e7"),
        ] {
            assert_eq!((at.to_string(), text.parse()), (text.to_owned(), Ok(at)));
        }
        for text in ["", "-", "a-", "a-0", "a-b", "A", "1y2p0ij32e8e8", "+1", "1 ", "ä", "--1"] {
            assert_eq!(text.parse::<Reach>(), Err(InvalidReach), "{text:?}");
        }
        let most = format!("zzz{}", "-1".repeat(2 * MOST_NAMED));
        assert!(most.parse::<Reach>().is_ok(), "the same one");
        let many: Vec<_> = (1..2000).map(|at| Reach::upto(at).to_string()).collect();
        assert_eq!(format!("zzz-{}", many.join("-")).parse::<Reach>(), Err(InvalidReach));
    }
}
