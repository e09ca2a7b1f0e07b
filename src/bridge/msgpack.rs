//! `MessagePack` as notepack.io writes it, which Node's emitters use, as the JSON that a socket is sent.

use rmpv::{ValueRef, decode::read_value_ref_with_max_depth};
use serde_json::Number;

use super::message::Refusal;
use crate::{clock::Timestamp, rest::json::MAX_DEPTH};

/// How deep a message may nest: what is sent lies three levels down in it, and its reader counts each level
/// twice. How deep that is itself is looked at where its arguments are read.
const DEPTH: usize = 2 * (MAX_DEPTH + 5);

/// The extensions that JSON has words for: a time (the specification's own), and notepack's `undefined`.
const TIME: i8 = -1;
const UNDEFINED: i8 = 0;

/// The JSON of one value, with nothing after it.
///
/// # Errors
/// When it is none, nests too deep, or has binary data in it.
pub(super) fn to_json(mut bytes: &[u8]) -> Result<String, Refusal> {
    let unreadable = |error: rmpv::decode::Error| Refusal::Unreadable(error.to_string());
    let mut json = String::with_capacity(bytes.len() * 2);
    let value = read_value_ref_with_max_depth(&mut bytes, DEPTH).map_err(unreadable)?;
    if !bytes.is_empty() {
        return Err(Refusal::Unreadable("something follows it".to_owned()));
    }
    write(&value, &mut json)?;
    Ok(json)
}

fn write(value: &ValueRef<'_>, json: &mut String) -> Result<(), Refusal> {
    match value {
        ValueRef::Nil | ValueRef::Ext(UNDEFINED, [0]) => json.push_str("null"),
        ValueRef::Boolean(is_true) => json.push_str(if *is_true { "true" } else { "false" }),
        ValueRef::Integer(number) => json.push_str(&number.to_string()),
        ValueRef::F32(number) => float(f64::from(*number), json),
        ValueRef::F64(number) => float(*number, json),
        ValueRef::String(text) => {
            let text = text.as_str().map_or_else(
                // JavaScript's strings may hold half a character.
                || String::from_utf8_lossy(text.as_bytes()),
                Into::into,
            );
            json.push_str(&serde_json::to_string(&text)?);
        }
        ValueRef::Array(items) => {
            json.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    json.push(',');
                }
                write(item, json)?;
            }
            json.push(']');
        }
        ValueRef::Map(fields) => {
            json.push('{');
            for (at, (key, field)) in fields.iter().enumerate() {
                if at > 0 {
                    json.push(',');
                }
                if !matches!(key, ValueRef::String(_)) {
                    return Err(Refusal::Unreadable("a field's name is no text".to_owned()));
                }
                write(key, json)?;
                json.push(':');
                write(field, json)?;
            }
            json.push('}');
        }
        ValueRef::Ext(TIME, time) => {
            let at = timestamp(time).ok_or_else(|| Refusal::Unreadable("a time".to_owned()))?;
            json.push_str(&serde_json::to_string(&at)?);
        }
        ValueRef::Binary(_) | ValueRef::Ext(..) => return Err(Refusal::Binary),
    }
    Ok(())
}

/// As `JSON.stringify` has it.
fn float(number: f64, json: &mut String) {
    match Number::from_f64(number) {
        Some(number) => json.push_str(&number.to_string()),
        None => json.push_str("null"),
    }
}

/// A time in one of its three forms: 32 bits of seconds, 34 after 30 of nanoseconds, or 64 after 32.
fn timestamp(time: &[u8]) -> Option<Timestamp> {
    let (seconds, nanoseconds) = match time.len() {
        4 => (i64::from(u32::from_be_bytes(time.try_into().ok()?)), 0),
        8 => {
            let both = u64::from_be_bytes(time.try_into().ok()?);
            (i64::try_from(both & 0x3_ffff_ffff).ok()?, u32::try_from(both >> 34).ok()?)
        }
        12 => {
            let (nanoseconds, seconds) = time.split_at(4);
            let nanoseconds = u32::from_be_bytes(nanoseconds.try_into().ok()?);
            (i64::from_be_bytes(seconds.try_into().ok()?), nanoseconds)
        }
        _ => return None,
    };
    let millis = seconds.checked_mul(1000)?.checked_add(i64::from(nanoseconds / 1_000_000))?;
    Some(Timestamp::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(hex: &str) -> Result<String, Refusal> {
        to_json(&hex::decode(hex.replace(' ', "")).unwrap())
    }

    #[test]
    fn what_notepack_writes_is_what_json_stringify_does() {
        // By notepack.io 3.0.1.
        for (hex, expected) in [
            ("c0", "null"),
            ("c2", "false"),
            ("7f", "127"),
            ("cd0100", "256"),
            ("cf001fffffffffffff", "9007199254740991"),
            ("e0", "-32"),
            ("d3ffe0000000000001", "-9007199254740991"),
            ("cb3ff8000000000000", "1.5"),
            ("cb7ff8000000000000", "null"),
            ("cb7ff0000000000000", "null"),
            ("a2c3a9", "\"é\""),
            ("a322070a", r#""\"\u0007\n""#),
            ("93a16101a0", r#"["a",1,""]"#),
            ("82a161c0a16290", r#"{"a":null,"b":[]}"#),
            ("d40000", "null"),
            ("d6ff00000001", r#""1970-01-01T00:00:01.000Z""#),
            ("d7ff773594006553f100", r#""2023-11-14T22:13:20.500Z""#),
            ("c70cff1dcd6500ffffffffffffffff", r#""1969-12-31T23:59:59.500Z""#),
        ] {
            assert_eq!(json(hex).unwrap(), expected, "{hex}");
        }
        // Half of a character.
        assert_eq!(json("a3eda0bd").unwrap(), "\"\u{fffd}\u{fffd}\u{fffd}\"");
    }

    #[test]
    fn what_is_binary_or_broken_is_neither() {
        for binary in ["c4020102", "81a161c40101", "d40001", "d40500", "c7030001ab02"] {
            assert!(matches!(json(binary), Err(Refusal::Binary)), "{binary}");
        }
        let deep = "91".repeat(DEPTH + 1) + "c0";
        for broken in ["", "93", "a5aa", "c0c0", "dfffffffff", "ddffffffff", "810101", &deep] {
            let error = json(broken).unwrap_err();
            assert!(matches!(error, Refusal::Unreadable(_)), "{broken}: {error}");
        }
        assert!(json(&("91".repeat(MAX_DEPTH) + "c0")).is_ok());
    }
}
