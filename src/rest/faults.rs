//! Everything that is wrong with JSON that is no `T`. Serde stops at the first fault; here that is written
//! down, something stands in for it, and what there is then is read again.

use std::{collections::VecDeque, ops::ControlFlow};

use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::read::{Fault, Step, many_invalid, pointer_of, read};
use crate::error::{FieldError, Result};

/// Bytes that are read again in all: nobody's body is to cost many times what it took to send it. This is
/// a few milliseconds.
const MAX_BYTES: usize = 256 * 1024;

/// How often it is read again, at most.
const MAX_READS: usize = 100;

/// What stands in for a field, in this order; one of them is of the type of most.
const STAND_INS: [&str; 9] = [
    "null",
    r#""a@example.org""#,
    "1",
    "true",
    "[]",
    "{}",
    r#""2030-01-01T00:00:00.000Z""#,
    r#""https://example.org""#,
    r#"["a"]"#,
];

/// A field that something stands in for.
struct Attempt {
    at: Vec<Step>,
    /// What is tried next.
    next: VecDeque<String>,
    /// The words are known that it takes, and are among them.
    has_words: bool,
}

/// Reads JSON again in which there was a fault. What there is no doubt about counts as it is meant: a whole
/// number that is written with a fraction of nothing.
///
/// # Errors
/// [`Code::InvalidPayload`](crate::error::Code::InvalidPayload) with all that is wrong, what these rules
/// say too, as far as it could be found.
pub(super) fn read_again<T: DeserializeOwned>(
    json: &[u8],
    first: Fault,
    rules: impl FnOnce(&T) -> Vec<FieldError>,
) -> Result<T> {
    let mut reading =
        Reading { json: String::from_utf8_lossy(json).into_owned(), found: vec![], tried: vec![] };
    let mut fault = first;
    for _ in 0..MAX_READS.min(MAX_BYTES / json.len().max(1)) {
        if reading.amend(&fault).is_break() {
            return Err(many_invalid(reading.found));
        }
        match read(reading.json.as_bytes()) {
            Ok(value) => {
                let broken = rules(&value).into_iter().filter(|field| !reading.stands_in(field));
                reading.found.extend(broken.collect::<Vec<_>>());
                if reading.found.is_empty() {
                    return Ok(value);
                }
                return Err(many_invalid(reading.found));
            }
            Err(next) => fault = next?,
        }
    }
    if reading.found.is_empty() {
        reading.found.push(fault.field());
    }
    Err(many_invalid(reading.found))
}

struct Reading {
    json: String,
    found: Vec<FieldError>,
    tried: Vec<Attempt>,
}

impl Reading {
    /// Writes a fault down, unless something that stands in has it, and sees that reading goes on behind it.
    fn amend(&mut self, fault: &Fault) -> ControlFlow<()> {
        let Some(at) = &fault.at else {
            self.found.push(fault.field());
            return ControlFlow::Break(());
        };
        if let Some(again) = self.tried.iter().position(|tried| tried.at == *at) {
            self.tried.truncate(again + 1);
            if let (Some(word), Some(last)) = (fault.word(), self.tried.last_mut())
                && !last.has_words
            {
                last.has_words = true;
                last.next.push_front(as_text(word));
            }
            return self.try_next();
        }
        if let Some(whole) = fault.whole_number() {
            return self.set(at, Some(&whole));
        }
        if !self.tried.iter().any(|tried| at.starts_with(&tried.at)) {
            self.found.push(fault.field());
        }
        if fault.is_unknown_field() {
            return self.set(at, None);
        }
        let word = fault.word().map(as_text);
        let has_words = word.is_some();
        let next = word.into_iter().chain(STAND_INS.map(str::to_owned)).collect();
        self.tried.push(Attempt { at: at.clone(), next, has_words });
        self.try_next()
    }

    /// Has the next stand in of the last that needs one; where there is none, for what that is a part of.
    fn try_next(&mut self) -> ControlFlow<()> {
        while let Some(last) = self.tried.last_mut() {
            if let Some(next) = last.next.pop_front() {
                let at = last.at.clone();
                return self.set(&at, Some(&next));
            }
            let at = last.at.clone();
            self.tried.pop();
            if !self.tried.last().is_some_and(|outer| at.starts_with(&outer.at)) {
                break;
            }
        }
        ControlFlow::Break(())
    }

    fn set(&mut self, at: &[Step], value: Option<&str>) -> ControlFlow<()> {
        match with(&self.json, at, value) {
            Some(json) => {
                self.json = json;
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(()),
        }
    }

    /// Whether a rule is broken by what stands in for a field.
    fn stands_in(&self, field: &FieldError) -> bool {
        self.tried.iter().any(|tried| {
            let at = pointer_of(&tried.at);
            field
                .pointer
                .strip_prefix(&at)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

fn as_text(word: &str) -> String {
    format!("\"{word}\"")
}

/// JSON with another value at a pointer, or without it; the rest of it in its bytes.
fn with(json: &str, at: &[Step], value: Option<&str>) -> Option<String> {
    let [step, rest @ ..] = at else { return value.map(str::to_owned) };
    let inner = |there: Option<&RawValue>| -> Option<Option<Box<RawValue>>> {
        let changed = match (rest, value) {
            ([], None) => return Some(None),
            _ => with(there.map_or("null", RawValue::get), rest, value)?,
        };
        RawValue::from_string(changed).ok().map(Some)
    };
    match step {
        Step::Key(key) => {
            let mut object: IndexMap<String, Box<RawValue>> = serde_json::from_str(json).ok()?;
            match inner(object.get(key).map(|there| &**there))? {
                Some(value) => drop(object.insert(key.clone(), value)),
                None => drop(object.shift_remove(key)),
            }
            serde_json::to_string(&object).ok()
        }
        Step::Index(index) => {
            let mut list: Vec<Box<RawValue>> = serde_json::from_str(json).ok()?;
            match inner(list.get(*index).map(|there| &**there))? {
                Some(value) => *list.get_mut(*index)? = value,
                None => drop(list.remove(*index)),
            }
            serde_json::to_string(&list).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use garde::Validate;
    use serde::Deserialize;

    use super::{super::json, *};
    use crate::{clock::Timestamp, error::Error, id::Id, text::PersonName};

    #[derive(Debug, Deserialize, Validate)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    #[garde(allow_unvalidated)]
    #[expect(dead_code, reason = "only read")]
    struct Order {
        buyer_id: Id,
        name: PersonName,
        #[garde(length(chars, max = 3))]
        note: String,
        #[garde(dive)]
        lines: Vec<Line>,
        price: Price,
        kind: Kind,
        due: Timestamp,
        paid: bool,
        more: Option<u8>,
    }

    #[derive(Debug, Deserialize, Validate)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Line {
        #[garde(range(min = 1))]
        count: u32,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only read")]
    struct Price {
        amount: i64,
        currency: String,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    enum Kind {
        Gift,
        Sale,
    }

    fn read(json: &str) -> Result<Order> {
        json::decode_valid(json.as_bytes(), |_| Ok(()))
    }

    fn pointers(error: &Error) -> Vec<&str> {
        error.fields().iter().map(|field| field.pointer.as_str()).collect()
    }

    const GOOD: &str = r#"{"buyerId":"ann","name":"Ann","note":"x","lines":[{"count":1}],"kind":"gift",
        "price":{"amount":1,"currency":"EUR"},"due":"2030-01-01T00:00:00Z","paid":true}"#;

    #[test]
    fn all_that_is_missing_is_told_at_once() {
        assert!(read(GOOD).is_ok(), "{:?}", read(GOOD));
        let error = read("{}").unwrap_err();
        let all = ["buyerId", "name", "note", "lines", "price", "kind", "due", "paid"];
        assert_eq!(pointers(&error), all.map(|name| format!("/{name}")));
        assert!(error.fields().iter().all(|field| field.detail == "is required"), "{error:?}");
        assert_eq!(error.detail(), "buyerId: is required (and 7 more)");
    }

    #[test]
    fn what_is_of_another_type_and_what_breaks_a_rule_are_told_together() {
        let bad = r#"{"buyerId":"a b","name":"","note":"too long","lines":[{"count":0},{"count":"x"},{}],
            "kind":"loan","price":[],"due":"now","paid":1,"more":256,"other":1}"#;
        let error = read(bad).unwrap_err();
        let mut found = pointers(&error);
        found.sort_unstable();
        let all = [
            "/buyerId",
            "/due",
            "/kind",
            "/lines/0/count",
            "/lines/1/count",
            "/lines/2/count",
            "/more",
            "/name",
            "/note",
            "/other",
            "/paid",
            "/price",
        ];
        assert_eq!(found, all, "{error:?}");
        for field in error.fields() {
            for word in ["struct", "u8", "u32", "i64", "variant", "enum"] {
                assert!(!field.detail.contains(word), "{field:?}");
            }
        }
    }

    #[test]
    fn a_whole_number_is_one_however_it_is_written() {
        for (json, count) in
            [("2.0", Some(2)), ("20e1", Some(200)), ("2.5", None), ("-0.0", Some(0))]
        {
            let order = read(&GOOD.replace(r#"{"count":1}"#, &format!(r#"{{"count":{json}}}"#)));
            let counted = order.as_ref().ok().map(|order| order.lines[0].count);
            assert_eq!(
                counted.filter(|count| *count > 0),
                count.filter(|count| *count > 0),
                "{json}"
            );
        }
        let huge = GOOD.replace("\"amount\":1", "\"amount\":1e300");
        assert_eq!(pointers(&read(&huge).unwrap_err()), ["/price/amount"]);
    }

    #[test]
    fn what_is_large_is_not_read_many_times() {
        let large = format!(r#"{{"note":"{}"}}"#, "x".repeat(MAX_BYTES));
        assert_eq!(pointers(&read(&large).unwrap_err()), ["/buyerId"]);
    }
}
