//! How SHKeeper writes values: amounts as decimal strings, now and then as numbers or, for the
//! smallest, with an exponent; names that come back as they were sent.

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::value::RawValue;

use crate::money::{Amount, InvalidAmount};

/// A text, also where it is written as a number, digit by digit.
pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let json = Box::<RawValue>::deserialize(from)?;
    content(&json).ok_or_else(|| D::Error::custom("neither a text nor a number"))
}

/// A [`text`], which may be null.
pub(super) fn text_if_any<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let json = Option::<Box<RawValue>>::deserialize(from)?;
    let read = |json: Box<RawValue>| {
        content(&json).ok_or_else(|| D::Error::custom("neither a text nor a number"))
    };
    json.map(read).transpose()
}

/// An amount that counts.
pub(super) fn amount<'de, D: Deserializer<'de>>(from: D) -> Result<Amount, D::Error> {
    parse(&text(from)?).map_err(D::Error::custom)
}

/// An amount that only informs: none where it is absent or, as a fee may be, below zero.
pub(super) fn amount_if_any<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Amount>, D::Error> {
    let json = Option::<Box<RawValue>>::deserialize(from)?;
    Ok(json.and_then(|json| content(&json)).and_then(|text| parse(&text).ok()))
}

fn content(json: &RawValue) -> Option<String> {
    let text = json.get();
    match text.bytes().next()? {
        b'"' => serde_json::from_str(text).ok(),
        b'-' | b'0'..=b'9' => Some(text.to_owned()),
        _ => None,
    }
}

fn parse(text: &str) -> Result<Amount, InvalidAmount> {
    if text.contains(['e', 'E']) {
        // As a JSON number, which may have an exponent: Python writes 0.00000001 as 1E-8.
        return serde_json::from_str(text).map_err(|_| InvalidAmount);
    }
    text.parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Written {
        #[serde(deserialize_with = "amount")]
        amount: Amount,
        #[serde(default, deserialize_with = "amount_if_any")]
        fee: Option<Amount>,
        #[serde(default, deserialize_with = "text_if_any")]
        name: Option<String>,
    }

    fn read(json: &str) -> Result<Written, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn amounts_are_read_digit_by_digit() {
        for (written, amount) in [
            (r#""7.8""#, "7.8"),
            (r#""2.0000000000""#, "2"),
            (r#""7.6470588235""#, "7.6470588235"),
            (r#""1.00E-8""#, "0.00000001"),
            (r#""1E+1""#, "10"),
            ("0.1", "0.1"),
            ("12", "12"),
        ] {
            let read = read(&format!(r#"{{"amount":{written}}}"#)).unwrap();
            assert_eq!(read.amount.to_string(), amount);
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for written in [
            r#""-1""#,
            "-1",
            r#""1e300""#,
            r#""NaN""#,
            r#""""#,
            r#"" 1""#,
            r#""1e""#,
            "null",
            "true",
            "[1]",
            r#""100000000000000000000000000000000000000""#,
        ] {
            assert!(read(&format!(r#"{{"amount":{written}}}"#)).is_err(), "{written}");
        }
    }

    #[test]
    fn what_only_informs_may_be_anything() {
        for (written, fee) in [
            (r#""0.1529411765""#, Some("0.1529411765")),
            (r#""-0.5""#, None),
            ("null", None),
            ("{}", None),
        ] {
            let read = read(&format!(r#"{{"amount":"1","fee":{written}}}"#)).unwrap();
            assert_eq!(read.fee, fee.map(|fee| fee.parse().unwrap()), "{written}");
        }
        assert_eq!(read(r#"{"amount":"1"}"#).unwrap().fee, None);
    }

    #[test]
    fn a_name_may_come_back_as_a_number() {
        let name = |written: &str| read(&format!(r#"{{"amount":"1","name":{written}}}"#));
        assert_eq!(name("147").unwrap().name.as_deref(), Some("147"));
        assert_eq!(name(r#""a\"b""#).unwrap().name.as_deref(), Some("a\"b"));
        assert_eq!(name("null").unwrap().name, None);
        assert!(name("[]").is_err());
    }
}
