//! Patterns of event names, as an operator writes them: `cart:*`, `new message`, `*` for all.

use std::sync::Arc;

use super::name::EventName;

/// Patterns in one list, at most.
const MOST: usize = 1000;

/// A list of patterns, in the order in which they were written. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct EventPatterns(Arc<[Arc<str>]>);

/// Why texts are no patterns.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// Not one that a name could match.
    #[error(
        "a pattern is an event's name of 1–128 characters, none of them a control character, where \
         * stands for any characters"
    )]
    Malformed,
    /// More than anybody looks through.
    #[error("has at most 1000 patterns")]
    TooMany,
}

impl EventPatterns {
    /// Reads patterns.
    ///
    /// # Errors
    /// [`InvalidPattern`]
    pub fn new(patterns: &[String]) -> Result<Self, InvalidPattern> {
        if patterns.len() > MOST {
            return Err(InvalidPattern::TooMany);
        }
        if patterns.iter().any(|pattern| EventName::new(pattern.as_str()).is_err()) {
            return Err(InvalidPattern::Malformed);
        }
        Ok(Self(patterns.iter().map(|pattern| pattern.as_str().into()).collect()))
    }

    /// The first pattern that a name matches: there are as many of these as an operator wrote, however
    /// many names clients think of.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Arc<str>> {
        self.0.iter().find(|pattern| matches(pattern.as_bytes(), name.as_bytes()))
    }
}

/// Whether a name matches a pattern: `*` stands for any characters, also none. Where it does not go
/// on, the last `*` takes one more, which is enough: an earlier one need never.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut in_name) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while in_name < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, in_name));
                at += 1;
            }
            Some(byte) if *byte == name[in_name] => {
                at += 1;
                in_name += 1;
            }
            _ => {
                let Some((star_at, taken)) = &mut star else { return false };
                *taken += 1;
                (at, in_name) = (*star_at + 1, *taken);
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(written: &[&str]) -> Result<EventPatterns, InvalidPattern> {
        let written: Vec<_> = written.iter().map(|pattern| (*pattern).to_owned()).collect();
        EventPatterns::new(&written)
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name, expected) in [
            ("*", "anything", true),
            ("new message", "new message", true),
            ("new message", "new messages", false),
            ("new message", "new messag", false),
            ("cart:*", "cart:add", true),
            ("cart:*", "cart:", true),
            ("cart:*", "carts:add", false),
            ("*:add", "cart:add", true),
            ("*:add", "cart:add:add", true),
            ("*:add", "cart:adds", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-d", false),
            ("a**", "a", true),
            ("é*", "ete", false),
            ("é*", "école", true),
        ] {
            let found = patterns(&[pattern]).unwrap();
            assert_eq!(found.find(name).is_some(), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn the_first_that_matches_is_found() {
        let list = patterns(&["cart:*", "cart:add", "*"]).unwrap();
        assert_eq!(list.find("cart:add").map(|found| &**found), Some("cart:*"));
        assert_eq!(list.find("other").map(|found| &**found), Some("*"));
        assert_eq!(EventPatterns::default().find("cart:add"), None);
    }

    #[test]
    fn what_no_name_could_match_is_refused() {
        for bad in ["", "a\n", "connect", &"x".repeat(129)] {
            assert_eq!(patterns(&["a", bad]).unwrap_err(), InvalidPattern::Malformed, "{bad:?}");
        }
        assert_eq!(patterns(&vec!["a"; MOST + 1]).unwrap_err(), InvalidPattern::TooMany);
    }

    #[test]
    fn many_stars_take_no_long_time() {
        let (pattern, name) = (format!("{}b", "a*".repeat(63)), "a".repeat(128));
        assert_eq!(patterns(&[&pattern]).unwrap().find(&name), None);
    }
}
