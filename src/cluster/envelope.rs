//! What stands around messages between nodes: the version of their form, and who sent them.

use std::fmt::Write as _;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::clock::Timestamp;

/// The form of messages that this build writes and reads.
pub(super) const VERSION: u32 = 1;

/// Items that nobody keeps.
#[derive(Deserialize)]
pub(super) struct Batch {
    /// Who sent them.
    pub(super) n: String,
    /// When, by its clock; none from a node that does not say so.
    pub(super) t: Option<i64>,
    /// In their order.
    pub(super) b: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Versioned {
    v: u32,
}

/// Writes items.
pub(super) fn batch(node: &str, at: Timestamp, items: &[Box<RawValue>]) -> String {
    let bytes: usize = items.iter().map(|item| item.get().len() + 1).sum();
    let mut text = String::with_capacity(bytes + node.len() + 48);
    // Text takes whatever is written.
    let at = at.millis();
    let _ = write!(text, "{{\"v\":{VERSION},\"n\":\"{node}\",\"t\":{at},\"b\":[");
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(item.get());
    }
    text.push_str("]}");
    text
}

/// Reads a message; none of another version.
///
/// # Errors
/// When it is not written as one.
pub(super) fn read<T: DeserializeOwned>(message: &[u8]) -> serde_json::Result<Option<T>> {
    let Versioned { v } = serde_json::from_slice(message)?;
    if v == VERSION { serde_json::from_slice(message).map(Some) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_back_as_they_were_and_other_versions_are_passed_over() {
        let items = ["1", r#"{"a":[2]}"#].map(|item| RawValue::from_string(item.into()).unwrap());
        for some in [&items[..0], &items[..1], &items[..]] {
            let written = batch("n1", Timestamp::from_millis(7), some);
            let read: Batch = read(written.as_bytes()).unwrap().unwrap();
            assert_eq!((read.n.as_str(), read.t), ("n1", Some(7)));
            let texts = |items: &[Box<RawValue>]| -> Vec<String> {
                items.iter().map(|item| item.get().to_owned()).collect()
            };
            assert_eq!(texts(&read.b), texts(some));
        }
        assert!(read::<Batch>(br#"{"v":2,"whatever":1}"#).unwrap().is_none());
        for bad in ["", "{", "{}", "[]", r#"{"v":1}"#, r#"{"v":1,"n":"x","b":1}"#] {
            assert!(read::<Batch>(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
