//! Reads one JSON value, or says where and why it is no `T`.

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_path_to_error::{Path, Segment};

use super::{objects::Objects, words};
use crate::error::{Code, Error, FieldError, Result};

pub(super) const TOO_DEEP: &str = "nests too deeply; at most 100 levels";

/// Bytes of what is told of a field, at most.
const MAX_DETAIL: usize = 300;

/// Reads one JSON value.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Result<Fault>> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(Objects(&mut json)).map_err(|error| {
        let (pointer, mut at) = (pointer(error.path()), steps(error.path()));
        let inner = error.into_inner();
        let mut message = inner.to_string();
        if let Some(end) = message.find(" at line ") {
            message.truncate(end);
        }
        // Of words serde takes a value that is none for no JSON.
        let is_json = || serde_json::from_slice::<IgnoredAny>(bytes).is_ok();
        if inner.is_data() || (inner.is_syntax() && is_json()) {
            if let (Some(field), Some(at)) = (quoted(&message, "missing field `"), &mut at) {
                at.push(Step::Key(field.to_owned()));
            }
            if inner.is_syntax() {
                "is none of the words that it takes".clone_into(&mut message);
            }
            Ok(Fault { at, pointer, message })
        } else if message.starts_with("recursion limit exceeded") {
            // It is JSON, and goes on below where serde stops.
            Err(Error::invalid(pointer, TOO_DEEP))
        } else {
            Err(malformed(&inner))
        }
    })?;
    json.end().map_err(|error| Err(malformed(&error)))?;
    Ok(value)
}

/// Where and why JSON is no `T`.
pub(super) struct Fault {
    /// Where it is; none where that is no place in JSON.
    pub(super) at: Option<Vec<Step>>,
    pub(super) pointer: String,
    pub(super) message: String,
}

impl Fault {
    /// As callers are told of it.
    pub(super) fn field(&self) -> FieldError {
        let error = invalid(self.pointer.clone(), &self.message);
        let detail = || FieldError { pointer: String::new(), detail: error.detail().to_owned() };
        error.fields().first().cloned().unwrap_or_else(detail)
    }

    /// The number that is meant, where a whole one is asked for and written with a fraction of nothing.
    pub(super) fn whole_number(&self) -> Option<String> {
        let rest = self.message.strip_prefix("invalid type: floating point `")?;
        let (number, expected) = rest.split_once("`, expected ")?;
        let is_whole = |number: &f64| number.fract() == 0.0 && number.abs() <= MAX_WHOLE;
        words::whole_numbers(expected.split(" at line ").next()?)?;
        number.parse().ok().filter(is_whole).map(|number| format!("{number:.0}"))
    }

    pub(super) fn is_unknown_field(&self) -> bool {
        self.message.starts_with("unknown field `")
    }

    /// The first of the words that may stand there, where it takes one of some.
    pub(super) fn word(&self) -> Option<&str> {
        self.message.strip_prefix("unknown variant `").and_then(|rest| {
            let (_, expected) = rest.rsplit_once(", expected ")?;
            expected.split('`').nth(1)
        })
    }
}

/// Up to here every whole number is a number of JavaScript's (2^53).
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// Where a fault is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// The steps of a path that serde went; none where it went where JSON has no place.
fn steps(path: &Path) -> Option<Vec<Step>> {
    path.iter().map(step).collect()
}

/// Variants and newtypes have no place of their own in JSON.
fn step(segment: &Segment) -> Option<Step> {
    match segment {
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Map { key } => Some(Step::Key(key.clone())),
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

/// The error for a value that does not fit its type, from serde's message.
pub(super) fn invalid(mut pointer: String, message: &str) -> Error {
    let detail = message.split(" at line ").next().unwrap_or(message);
    // What was sent is quoted only where it is short.
    let short = (detail.len() > MAX_DETAIL).then(|| without_quotes(detail));
    let detail = short.as_deref().unwrap_or(detail);
    if pointer.len() > MAX_DETAIL {
        pointer.clear();
    }
    // Serde blames the object; the caller wants to know the field.
    if let Some(field) = quoted(detail, "missing field `") {
        push(&mut pointer, field);
        return Error::invalid(pointer, "is required");
    }
    if detail.starts_with("unknown field `") {
        return Error::invalid(pointer, "is not a known field");
    }
    Error::invalid(pointer, words::of(detail))
}

/// The error for several invalid fields, in a sentence that names the first.
pub(super) fn many_invalid(fields: Vec<FieldError>) -> Error {
    match fields.as_slice() {
        [only] => Error::invalid(only.pointer.clone(), only.detail.clone()),
        [first, rest @ ..] => {
            let name = first.pointer.trim_start_matches('/');
            let sentence = format!("{name}: {} (and {} more)", first.detail, rest.len());
            Error::new(Code::InvalidPayload, sentence).with_fields(fields)
        }
        [] => Error::new(Code::InvalidPayload, "The payload is invalid."),
    }
}

/// The JSON pointer of a path that serde went.
pub(super) fn pointer(path: &Path) -> String {
    pointer_of(&path.iter().filter_map(step).collect::<Vec<_>>())
}

/// The pointer of some steps.
pub(super) fn pointer_of(steps: &[Step]) -> String {
    let mut pointer = String::new();
    for step in steps {
        match step {
            Step::Key(key) => push(&mut pointer, key),
            Step::Index(index) => push(&mut pointer, &index.to_string()),
        }
    }
    pointer
}

/// What serde says is wrong, without the value that it quotes: for the log.
#[must_use]
pub fn without_quotes(message: &str) -> String {
    match message.rfind(", expected ") {
        Some(at) => {
            let kind = message[..at].split([':', '`']).next().unwrap_or_default();
            format!("{}{}", kind.trim_end(), &message[at..])
        }
        None => message.to_owned(),
    }
}

/// Adds one escaped step (RFC 6901, section 3).
pub(super) fn push(pointer: &mut String, step: &str) {
    pointer.push('/');
    pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
}

fn quoted<'a>(message: &'a str, prefix: &str) -> Option<&'a str> {
    message.strip_prefix(prefix)?.strip_suffix('`')
}

fn malformed(error: &serde_json::Error) -> Error {
    Error::new(Code::Malformed, format!("The body is not JSON: {error}."))
}
