//! What people write: the names they go by, the addresses they have their mail sent to, and what a line and a longer text may hold (the length of
//! each is declared beside its field); and text as JavaScript writes it, whose strings are of 16-bit
//! units and may hold half a character.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Object, RefOr,
        schema::{Schema, Type},
    },
};

/// Characters of a person's name, at most.
const MAX_NAME: usize = 100;

/// What others are shown as a person's name: 1–100 characters, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct PersonName(Box<str>);

/// Why a text is not a [`PersonName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1–100 characters, and no control characters")]
pub struct InvalidName;

impl PersonName {
    /// As much of a text as a name can be; none when that is nothing. For what comes from whom it
    /// can't be given back to, such as a token's issuer.
    #[must_use]
    pub fn from_lossy(text: &str) -> Option<Self> {
        let kept = text.chars().filter(|letter| !letter.is_control()).take(MAX_NAME);
        Some(kept.collect::<String>()).filter(|name| !name.is_empty()).map(|name| Self(name.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<PersonName> for String {
    fn from(name: PersonName) -> Self {
        name.0.into()
    }
}

impl TryFrom<String> for PersonName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        // Bytes first: a name of a megabyte is not counted letter by letter.
        let fits = !text.is_empty() && text.len() <= 4 * MAX_NAME;
        if fits && text.chars().count() <= MAX_NAME && !text.contains(char::is_control) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName)
        }
    }
}

impl PartialSchema for PersonName {
    fn schema() -> RefOr<Schema> {
        Object::builder()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(MAX_NAME))
            .pattern(Some(r"^[^\u0000-\u001f\u007f-\u009f]*$"))
            .description(Some("A person's name: no control characters."))
            .into()
    }
}

impl ToSchema for PersonName {}

/// Refuses control characters, line breaks too (for garde).
///
/// # Errors
/// When there is one.
pub fn line(text: &str, (): &()) -> garde::Result {
    if text.contains(char::is_control) {
        return Err(garde::Error::new("has no control characters"));
    }
    Ok(())
}

/// Refuses U+0000, which no database keeps in a text (for garde). Whatever else people paste is
/// theirs.
///
/// # Errors
/// When there is one.
pub fn prose(text: &str, (): &()) -> garde::Result {
    if text.contains('\0') {
        return Err(garde::Error::new("has no U+0000"));
    }
    Ok(())
}

/// Bytes of an e-mail address, at most (RFC 5321, section 4.5.3.1, less the brackets around it).
pub const MAX_MAIL_ADDRESS_BYTES: usize = 254;

/// What is said of a text that is no e-mail address.
pub const NO_MAIL_ADDRESS: &str =
    "is not an e-mail address as web forms take them: name@host in ASCII, at most 254 characters";

/// Whether a text is an e-mail address as web forms take them (the HTML standard's `type=email`, RFC 1123's
/// names of hosts): ASCII alone, so that one that looks like another, or is the same in another spelling, is
/// none. A host of other letters is given as browsers send it (`xn--`).
#[must_use]
pub fn is_mail_address(text: &str) -> bool {
    let label = |label: &str| {
        let letters = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(letters)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let of_name = |b: u8| b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&b);
    // Before it is gone through: it may be as large as a body.
    text.len() <= MAX_MAIL_ADDRESS_BYTES
        && text.split_once('@').is_some_and(|(name, host)| {
            !name.is_empty() && name.bytes().all(of_name) && host.split('.').all(label)
        })
}

/// JSON with U+FFFD for each half surrogate in its strings, keys too: JavaScript cuts strings
/// between the halves of a character, and its encoder writes what is left as an escape that means
/// no character (docs/contract/events.md#client-to-server).
#[must_use]
pub fn well_formed(json: &[u8]) -> Cow<'_, [u8]> {
    let mut formed = Cow::Borrowed(json);
    let mut at = 0;
    while let Some(found) = json[at..].iter().position(|b| *b == b'\\') {
        let escape = at + found;
        let Some(unit) = code_unit(json, escape) else {
            at = json.len().min(escape + 2);
            continue;
        };
        at = escape + 6;
        match unit {
            0xd800..=0xdbff if matches!(code_unit(json, at), Some(0xdc00..=0xdfff)) => at += 6,
            0xd800..=0xdfff => formed.to_mut()[escape + 2..at].copy_from_slice(b"fffd"),
            _ => {}
        }
    }
    formed
}

/// The code unit of the escape `\uXXXX` that begins there.
fn code_unit(json: &[u8], at: usize) -> Option<u32> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        serde_json::from_value::<PersonName>(text.into()).ok().map(|name| name.as_str().to_owned())
    }

    #[test]
    fn a_name_has_1_to_100_characters_and_no_control_characters() {
        for good in ["A", "Ada Lovelace", "Ωμέγα", &"é".repeat(100), &"😀".repeat(100)] {
            assert_eq!(read(good).as_deref(), Some(good));
            assert_eq!(PersonName::from_lossy(good).unwrap().as_str(), good);
        }
        for bad in ["", "a\nb", "\u{0}", "\u{7f}", "\u{85}", &"x".repeat(101), &"é".repeat(101)] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn as_much_of_a_text_as_a_name_can_be_is_kept() {
        let lossy = |text: &str| PersonName::from_lossy(text).map(|name| name.as_str().to_owned());
        assert_eq!(lossy("A\nd\u{0}a").as_deref(), Some("Ada"));
        assert_eq!(lossy(&"é".repeat(900_000)), Some("é".repeat(100)));
        assert_eq!((lossy(""), lossy("\u{0}\n")), (None, None));
    }

    #[test]
    fn an_address_is_one_that_a_web_form_takes() {
        for good in ["a@b", "Ada.L+x'y@Mail-1.Example.org", "a@xn--exmple-cua.org", "{|}~@x.y"] {
            assert!(is_mail_address(good), "{good}");
        }
        for bad in [
            "",
            "ada",
            "@b",
            "a@",
            "a@b@c",
            "a b@c",
            "a@b c",
            "a@b..c",
            "a@-b",
            "a@b-.c",
            "a,b@c",
            "Ada <ada@b.c>",
            "a@b>",
            "mi\u{212a}e@example.org",
            "caf\u{e9}@example.org",
            "cafe\u{301}@example.org",
            "a\u{200b}da@example.org",
            "\u{202e}ada@example.org",
            "ada@ex\u{ad}ample.org",
            "ada@example.org\u{feff}",
            "a\u{0}@b",
        ] {
            assert!(!is_mail_address(bad), "{bad:?}");
        }
        assert!(is_mail_address(&format!("{}@example.org", "a".repeat(242))));
        assert!(!is_mail_address(&format!("{}@example.org", "a".repeat(243))));
        assert!(!is_mail_address(&format!("a@{}", "b".repeat(64))));
    }

    #[test]
    fn half_surrogates_become_replacement_characters_and_nothing_else_changes() {
        for (json, formed) in [
            (r#""a \ud83c""#, r#""a \ufffd""#),
            (r#""\uD83C\uDF89""#, r#""\uD83C\uDF89""#),
            (r#""\ud83c\ud83c\udf89\udf89""#, r#""\ufffd\ud83c\udf89\ufffd""#),
            (r#"{"\udfff":"\\ud83c\\\ud83c"}"#, r#"{"\ufffd":"\\ud83c\\\ufffd"}"#),
            (r#""\n\u0041\ud7ff\ue000""#, r#""\n\u0041\ud7ff\ue000""#),
            ("\"é🎉\"", "\"é🎉\""),
            ("\\", "\\"),
            (r"\ud8", r"\ud8"),
            (r"\ud83c\u", r"\ufffd\u"),
        ] {
            assert_eq!(well_formed(json.as_bytes()), formed.as_bytes(), "{json}");
        }
    }
}
