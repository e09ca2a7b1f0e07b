//! Reads JSON and says precisely what is wrong with it: where it stops being JSON, or which fields
//! are invalid, by JSON pointer (RFC 6901).

use std::io;

use garde::Validate;
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

pub use super::read::without_quotes;
use super::{
    faults,
    read::{TOO_DEEP, many_invalid, push, read},
};
use crate::{
    error::{Code, Error, FieldError, Result},
    text::well_formed,
};

/// How deep JSON may nest that is handed on as it came. Readers of JSON, serde's among them, go to
/// 127, and on its way it is wrapped some levels deeper.
pub const MAX_DEPTH: usize = 100;

/// Any JSON, in the bytes in which it came: whoever is sent it can read it.
#[derive(Clone, Debug)]
pub struct AnyJson(pub Box<RawValue>);

impl Default for AnyJson {
    fn default() -> Self {
        Self(RawValue::NULL.to_owned())
    }
}

impl<'de> Deserialize<'de> for AnyJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        if nests_within(json.get(), MAX_DEPTH) {
            Ok(Self(json))
        } else {
            Err(serde::de::Error::custom(TOO_DEEP))
        }
    }
}

/// Reads a field that may be missing and counts as missing when it is `null`: goes with
/// `#[serde(default, deserialize_with = "json::or_default")]`.
pub fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Whether JSON nests no deeper than so many levels.
fn nests_within(json: &str, most: usize) -> bool {
    let opening = |b: &&u8| matches!(b, b'[' | b'{');
    // What opens few does not go deep, strings included.
    if json.as_bytes().iter().filter(opening).count() <= most {
        return true;
    }
    let (mut depth, mut in_string, mut bytes) = (0_usize, false, json.bytes());
    while let Some(byte) = bytes.next() {
        match (byte, in_string) {
            (b'"', _) => in_string = !in_string,
            (b'\\', true) => drop(bytes.next()),
            (b'[' | b'{', false) => depth += 1,
            (b']' | b'}', false) => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > most {
            return false;
        }
    }
    true
}

/// Reads one JSON value of type `T`. Types refuse unknown fields themselves
/// (`#[serde(deny_unknown_fields)]`).
///
/// # Errors
/// [`Code::Malformed`] with line and column when it is not JSON, [`Code::InvalidPayload`] with the
/// invalid fields when it is not a `T`.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    decode_with(bytes, |_| Vec::new())
}

/// The same, and checks the rules of the fields, and one that needs more than the value.
///
/// # Errors
/// Those of [`decode`]; what breaks a rule is told with what is of another type.
pub fn decode_valid<T>(bytes: &[u8], further: impl FnOnce(&T) -> Result<()>) -> Result<T>
where
    T: DeserializeOwned + Validate<Context = ()>,
{
    let mut refused = None;
    let value = decode_with(bytes, |value: &T| {
        let (fields, refusal) = broken_rules(value, further(value));
        refused = refusal;
        fields
    });
    match refused {
        // What else is wrong is no field's fault alone.
        Some(error) if value.is_ok() => Err(error),
        _ => value,
    }
}

fn decode_with<T: DeserializeOwned>(
    bytes: &[u8],
    rules: impl FnOnce(&T) -> Vec<FieldError>,
) -> Result<T> {
    if bytes.trim_ascii().is_empty() {
        return Err(Error::new(Code::Malformed, "There is no body; it takes JSON."));
    }
    let bytes = well_formed(bytes);
    match read(&bytes) {
        Ok(value) => {
            let fields = rules(&value);
            if fields.is_empty() { Ok(value) } else { Err(many_invalid(fields)) }
        }
        Err(fault) => faults::read_again(&bytes, fault?, rules),
    }
}

/// Checks the rules of the fields.
///
/// # Errors
/// [`Code::InvalidPayload`] with every invalid field.
pub fn validate<T: Validate<Context = ()>>(value: &T) -> Result<()> {
    validate_with(value, Ok(()))
}

/// The same, with a rule that needs more than the value.
///
/// # Errors
/// [`Code::InvalidPayload`] with every invalid field, those of that rule too.
pub fn validate_with<T>(value: &T, further: Result<()>) -> Result<()>
where
    T: Validate<Context = ()>,
{
    let (fields, refusal) = broken_rules(value, further);
    match refusal {
        Some(error) => Err(error),
        None if fields.is_empty() => Ok(()),
        None => Err(many_invalid(fields)),
    }
}

/// The fields that break a rule, those of a further one too; or what that says alone.
fn broken_rules<T>(value: &T, further: Result<()>) -> (Vec<FieldError>, Option<Error>)
where
    T: Validate<Context = ()>,
{
    let Err(report) = value.validate() else { return (Vec::new(), further.err()) };
    let mut fields: Vec<FieldError> = report
        .iter()
        .map(|(path, error)| FieldError {
            pointer: wire_pointer(&path.to_string()),
            detail: error.to_string(),
        })
        .collect();
    if let Err(error) = further {
        fields.extend(error.fields().iter().cloned());
    }
    (fields, None)
}

/// Bytes of what callers may add to a document as they like: everyone who sees that is sent it.
pub(super) const MAX_METADATA_BYTES: usize = 16 * 1024;

/// What is said of more.
pub(super) const TOO_MUCH_METADATA: &str = "has at most 16 KiB of JSON";

/// Refuses metadata that is too large (for garde).
///
/// # Errors
/// Says how much it may be.
pub fn small_metadata(metadata: &serde_json::Value, (): &()) -> garde::Result {
    small(bytes(metadata))
}

/// Refuses more bytes of what callers may add than that.
///
/// # Errors
/// Says how much it may be.
pub fn small(bytes: usize) -> garde::Result {
    if bytes > MAX_METADATA_BYTES {
        return Err(garde::Error::new(TOO_MUCH_METADATA));
    }
    Ok(())
}

/// How many bytes something has as JSON.
pub fn bytes(item: &(impl Serialize + ?Sized)) -> usize {
    struct Counted(usize);

    impl io::Write for Counted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut counted = Counted(0);
    // What is no JSON is no answer either, which its caller is told.
    let _ = serde_json::to_writer(&mut counted, item);
    counted.0
}

/// The pointer of a garde path (`line_items[0].unit_price`), in the wire's camelCase.
fn wire_pointer(path: &str) -> String {
    let mut pointer = String::new();
    for part in path.split(['.', '[']).filter(|part| !part.is_empty()) {
        // Where the wire's word is one of Rust's own, as `type` is.
        let name = part.trim_end_matches(']').trim_start_matches("r#");
        push(&mut pointer, &camel_case(name));
    }
    pointer
}

fn camel_case(snake: &str) -> String {
    let mut words = snake.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, Validate)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Order {
        #[garde(length(chars, min = 1, max = 5))]
        buyer_name: String,
        #[garde(dive)]
        lines: Vec<Line>,
    }

    #[derive(Debug, Deserialize, Validate)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Line {
        #[garde(range(min = 1))]
        unit_count: u8,
    }

    fn fields(error: &Error) -> Vec<(&str, &str)> {
        error.fields().iter().map(|f| (f.pointer.as_str(), f.detail.as_str())).collect()
    }

    fn refused(json: &str) -> Error {
        decode::<Order>(json.as_bytes()).unwrap_err()
    }

    #[test]
    fn what_is_not_json_is_malformed_with_line_and_column() {
        for json in ["{\"buyerName\":\n \"a\",}", "{", "[1", "{} {}", "nul", "\u{0}"] {
            let error = decode::<serde_json::Value>(json.as_bytes()).unwrap_err();
            assert_eq!(error.code(), Code::Malformed, "{json}");
            assert!(error.detail().contains(" at line "), "{}", error.detail());
        }
        assert!(refused("{\"buyerName\":\n \"a\",}").detail().ends_with("at line 2 column 6."));
        assert!(refused(" \n").detail().contains("no body"));
    }

    #[test]
    fn depth_is_counted_outside_of_strings() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        for (json, within) in [
            (nested(100), true),
            (nested(101), false),
            (format!("[{}]", ["[[]]"; 100].join(",")), true),
            (format!(r#"["{}","\\","\"{}"]"#, "[".repeat(200), "{".repeat(200)), true),
            (r#"{"a":"#.repeat(101) + "1" + &"}".repeat(101), false),
        ] {
            assert_eq!(nests_within(&json, MAX_DEPTH), within, "{json}");
        }
        let deep = decode::<serde_json::Value>(nested(200).as_bytes()).unwrap_err();
        assert_eq!(deep.code(), Code::InvalidPayload);
    }

    #[test]
    fn an_invalid_field_is_named_by_its_pointer() {
        let wrong = refused(r#"{"buyerName":"a","lines":[{"unitCount":1},{"unitCount":"x"}]}"#);
        assert_eq!(wrong.code(), Code::InvalidPayload);
        assert_eq!(wrong.fields()[0].pointer, "/lines/1/unitCount");
        assert!(!wrong.detail().contains(" at line "), "{}", wrong.detail());

        let missing = refused(r#"{"buyerName":"a","lines":[{}]}"#);
        assert_eq!(fields(&missing), [("/lines/0/unitCount", "is required")]);

        let unknown = refused(r#"{"buyerName":"a","a~/b":1}"#);
        let both = [("/a~0~1b", "is not a known field"), ("/lines", "is required")];
        assert_eq!(fields(&unknown), both);

        assert_eq!(refused("[]").fields()[0].pointer, "");
    }

    #[test]
    fn a_list_of_the_values_of_an_object_is_none() {
        for (json, pointer) in [
            (r#"["a",[]]"#, ""),
            (r#"{"buyerName":"a","lines":[{"unitCount":1},[1]]}"#, "/lines/1"),
        ] {
            let error = refused(json);
            let told = [(pointer, "invalid type: sequence, expected an object")];
            assert_eq!(fields(&error), told, "{json}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_without_the_value() {
        for (json, told) in [
            (
                r#"{"buyerName":"a","lines":"a: secret, expected"}"#,
                "invalid type, expected a sequence",
            ),
            (
                r#"{"buyerName":"a","lines":[{"unitCount":"`secret`"}]}"#,
                "invalid type, expected u8",
            ),
            (r#"{"buyerName":"a","lines":[{"unitCount":777}]}"#, "invalid value, expected u8"),
            (r#"{"buyerName":"a"}"#, "missing field `lines`"),
        ] {
            let error = serde_json::from_str::<Order>(json).unwrap_err().to_string();
            assert!(without_quotes(&error).starts_with(told), "{error}");
        }
    }

    #[test]
    fn every_broken_rule_is_reported_in_the_names_of_the_wire() {
        let order: Order = decode(
            br#"{"buyerName":"too long","lines":[{"unitCount":1},{"unitCount":0},{"unitCount":0}]}"#,
        )
        .unwrap();
        let error = validate(&order).unwrap_err();
        let pointers: Vec<_> = fields(&error).into_iter().map(|(pointer, _)| pointer).collect();
        assert_eq!(pointers, ["/buyerName", "/lines/1/unitCount", "/lines/2/unitCount"]);
        assert!(error.detail().ends_with("(and 2 more)"), "{}", error.detail());
    }
}
