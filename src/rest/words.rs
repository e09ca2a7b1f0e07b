//! What serde says of a value, in the words of JSON: its own name Rust's types.

use std::borrow::Cow;

/// A sentence of serde's, for callers.
pub(super) fn of(message: &str) -> Cow<'_, str> {
    if let Some(words) = message.strip_prefix("unknown variant `").and_then(variants) {
        return words.into();
    }
    if message.starts_with("data did not match any variant") {
        return "is in none of the forms that it may have".into();
    }
    if let Some(words) = not_read(message) {
        return words.into();
    }
    let Some((given, expected)) = message.rsplit_once(", expected ") else { return message.into() };
    match wanted(expected) {
        // An object may be read from its values in order, where there are enough.
        Some(wanted) if given.starts_with("invalid length") => {
            format!("invalid type: sequence, expected {wanted}").into()
        }
        Some(wanted) => format!("{given}, expected {wanted}").into(),
        None => message.into(),
    }
}

/// The words that one of them is, after what was given.
fn variants(rest: &str) -> Option<String> {
    let (_, expected) = rest.rsplit_once("`, expected ")?;
    let words: Vec<_> = expected.split('`').skip(1).step_by(2).collect();
    Some(format!("is one of {}", words.join(", ")))
}

/// What Rust's library says of a text that it can't read as a value.
fn not_read(message: &str) -> Option<&'static str> {
    Some(match message {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            "is no whole number, or less than may be"
        }
        "number too large to fit in target type" => "is too large a number",
        "number too small to fit in target type" => "is too small a number",
        "number would be zero for non-zero type" => "is at least 1",
        "invalid float literal" | "cannot parse float from empty string" => "is no number",
        "provided string was not `true` or `false`" => "is true or false",
        _ => return None,
    })
}

/// What is wanted, where serde says it in Rust's words.
pub(super) fn wanted(expected: &str) -> Option<Cow<'static, str>> {
    if let Some((least, most)) = whole_numbers(expected) {
        return Some(match (least, most) {
            (Some(least), Some(most)) => format!("a whole number from {least} to {most}").into(),
            (Some(_), None) => "a whole number, not less than 0".into(),
            _ => "a whole number".into(),
        });
    }
    if expected.starts_with("a nonzero ") {
        return Some("a whole number, not 0".into());
    }
    let kind = expected.split_once(' ').map_or(expected, |(kind, _)| kind);
    Some(match (kind, expected) {
        ("f32" | "f64", _) => "a number".into(),
        ("struct" | "internally" | "adjacently", _) | (_, "a map") => "an object".into(),
        ("tuple", _) | (_, "a sequence") => "a list".into(),
        ("unit", _) => "null".into(),
        ("enum", _) | (_, "variant identifier") => "one of some words".into(),
        ("newtype", _) => "another value".into(),
        _ if expected.starts_with("an array of length") => "a list".into(),
        _ => return None,
    })
}

/// The least and the most of one of Rust's types of whole numbers, as far as they are worth telling.
pub(super) fn whole_numbers(kind: &str) -> Option<(Option<i64>, Option<i64>)> {
    Some(match kind {
        "i8" => (Some(i8::MIN.into()), Some(i8::MAX.into())),
        "u8" => (Some(0), Some(u8::MAX.into())),
        "i16" => (Some(i16::MIN.into()), Some(i16::MAX.into())),
        "u16" => (Some(0), Some(u16::MAX.into())),
        "i32" => (Some(i32::MIN.into()), Some(i32::MAX.into())),
        "u32" => (Some(0), Some(u32::MAX.into())),
        "i64" | "i128" | "isize" => (None, None),
        "u64" | "u128" | "usize" => (Some(0), None),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_told_in_the_words_of_json() {
        for (said, told) in [
            (
                "invalid length 0, expected struct Login with 2 elements",
                "invalid type: sequence, expected an object",
            ),
            (
                "invalid type: string \"x\", expected i64",
                "invalid type: string \"x\", expected a whole number",
            ),
            (
                "invalid type: null, expected struct RefreshAuth",
                "invalid type: null, expected an object",
            ),
            (
                "invalid value: integer `777`, expected u8",
                "invalid value: integer `777`, expected a whole number from 0 to 255",
            ),
            (
                "invalid value: integer `-1`, expected u64",
                "invalid value: integer `-1`, expected a whole number, not less than 0",
            ),
            ("invalid type: map, expected a string", "invalid type: map, expected a string"),
            (
                "invalid type: string \"[\", expected a sequence",
                "invalid type: string \"[\", expected a list",
            ),
            ("unknown variant `, expected `, expected `on` or `off`", "is one of on, off"),
            (
                "data did not match any variant of untagged enum To",
                "is in none of the forms that it may have",
            ),
            ("number too large to fit in target type", "is too large a number"),
            (
                "invalid value: integer `0`, expected a nonzero u64",
                "invalid value: integer `0`, expected a whole number, not 0",
            ),
            ("nests too deeply; at most 100 levels", "nests too deeply; at most 100 levels"),
        ] {
            assert_eq!(of(said), told);
        }
    }
}
