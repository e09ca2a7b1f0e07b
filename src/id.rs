//! Identifiers: what counts as one when a client or another backend sends it, and new ones of ours; and
//! codes that people read out.

use std::{borrow::Borrow, fmt, sync::Arc};

use rand::seq::IndexedRandom;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Number;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Object, RefOr,
        schema::{Schema, SchemaType, Type},
    },
};
use uuid::Uuid;

/// The longest id, in characters.
const MAX_CHARS: usize = 256;

/// An id of a user, a conversation, a request and so on: any string of 1–256 characters without
/// white space and control characters, but `.` and `..`, which no path can name
/// (docs/contract/events.md#times-ids-money). Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "IdInput")]
pub struct Id(Arc<str>);

/// Clients in production send ids as strings, some of them as numbers.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "an id: 1–256 characters without white space and control characters, or a whole number"
)]
enum IdInput {
    Text(String),
    Number(Number),
}

/// Why a string is not an [`Id`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// It is empty, too long, or has characters that are no id's.
    #[error("an id has 1–256 characters, none of them white space or a control character")]
    Characters,
    /// It would mean a folder wherever it stands in a path.
    #[error("an id is not . or .., which no path can name")]
    Dots,
}

impl Id {
    /// Takes a string as an id.
    ///
    /// # Errors
    /// [`InvalidId`]
    pub fn new(text: &str) -> Result<Self, InvalidId> {
        let refused = |c: char| c.is_whitespace() || c.is_control();
        let length = text.chars().take(MAX_CHARS + 1).count();
        if matches!(text, "." | "..") {
            return Err(InvalidId::Dots);
        }
        if (1..=MAX_CHARS).contains(&length) && !text.contains(refused) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId::Characters)
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A number as JavaScript writes it, and whether it is one that ids are made of: a whole one.
fn written(number: &Number) -> (String, bool) {
    /// Up to here every whole number is written without an exponent.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        Some(whole) if number.is_f64() && whole.fract() == 0.0 && whole.abs() <= EXACT => {
            // Without the sign of a zero.
            (format!("{:.0}", whole + 0.0), whole >= 0.0)
        }
        _ => (number.to_string(), number.is_u64()),
    }
}

impl TryFrom<IdInput> for Id {
    type Error = InvalidId;

    fn try_from(input: IdInput) -> Result<Self, InvalidId> {
        match input {
            IdInput::Text(text) => Self::new(&text),
            IdInput::Number(number) => match written(&number) {
                (text, true) => Self::new(&text),
                (_, false) => Err(InvalidId::Characters),
            },
        }
    }
}

/// An id as its caller gave it: who gave a number is answered with a number.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "IdInput")]
pub struct GivenId {
    id: Id,
    is_number: bool,
}

impl GivenId {
    /// The id, whatever its form.
    #[must_use]
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// Reads a key of the caller's own, if there is one: any number is one, as `Math.random()` is.
    ///
    /// # Errors
    /// When it is neither that nor an id.
    pub fn any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error> {
        Ok(match Option::deserialize(deserializer)? {
            None => None,
            Some(IdInput::Number(number)) => {
                Some(Self { id: Id(written(&number).0.into()), is_number: true })
            }
            Some(text) => Some(text.try_into().map_err(serde::de::Error::custom)?),
        })
    }

    /// As text that reads back in its form: before a number stands a space, which no id has.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Self { id, is_number } = self;
        if *is_number { format!(" {id}") } else { id.to_string() }
    }

    /// Reads what [`GivenId::to_text`] wrote.
    ///
    /// # Errors
    /// [`InvalidId`] when it is none.
    pub fn from_text(text: &str) -> Result<Self, InvalidId> {
        let number = text.strip_prefix(' ');
        Ok(Self { id: Id::new(number.unwrap_or(text))?, is_number: number.is_some() })
    }
}

impl From<Id> for GivenId {
    fn from(id: Id) -> Self {
        Self { id, is_number: false }
    }
}

impl TryFrom<IdInput> for GivenId {
    type Error = InvalidId;

    fn try_from(input: IdInput) -> Result<Self, InvalidId> {
        let is_number = matches!(input, IdInput::Number(_));
        Ok(Self { id: input.try_into()?, is_number })
    }
}

impl Serialize for GivenId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.id.as_str().parse::<Number>() {
            Ok(number) if self.is_number => number.serialize(serializer),
            _ => self.id.serialize(serializer),
        }
    }
}

impl PartialSchema for GivenId {
    fn schema() -> RefOr<Schema> {
        Object::builder()
            .schema_type(SchemaType::Array(vec![Type::String, Type::Number]))
            .min_length(Some(1))
            .max_length(Some(MAX_CHARS))
            .description(Some("An id in the form in which the caller gave it."))
            .into()
    }
}

impl ToSchema for GivenId {}

impl std::str::FromStr for Id {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::new(text)
    }
}

/// The characters of a code: none is taken for another when it is read out.
const CODE_ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

/// How many of them a code has: 40 bits.
const CODE_LENGTH: usize = 8;

/// A new code that people read out and type in. It is no secret for long: who may try some has to be
/// counted.
#[must_use]
pub fn readable_code() -> String {
    let mut random = rand::rng();
    let letters = std::iter::repeat_with(|| CODE_ALPHABET.choose(&mut random).copied());
    letters.flatten().take(CODE_LENGTH).map(char::from).collect()
}

impl From<Uuid> for Id {
    fn from(uuid: Uuid) -> Self {
        Self(uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()).to_owned().into())
    }
}

impl Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl PartialSchema for Id {
    fn schema() -> RefOr<Schema> {
        Object::builder()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(MAX_CHARS))
            .pattern(Some(r"^[^\s\u0000-\u001f\u007f-\u009f]+$"))
            .description(Some(
                "An id: a UUIDv7 of this server's, or any that another backend made, without white \
                 space and control characters.",
            ))
            .into()
    }
}

impl ToSchema for Id {}

/// Makes new ids: UUIDv7 (RFC 9562), which sort by the time they were made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ids;

impl Ids {
    /// A new id.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is where ids are made")]
    pub fn next(self) -> Uuid {
        Uuid::now_v7()
    }

    /// A new one that is short enough to be read: eight hexadecimal digits.
    #[must_use]
    pub fn short(self) -> String {
        let mut id = self.next().simple().to_string();
        id.split_off(id.len() - 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_1_to_256_characters_that_show() {
        for good in ["64f1c0ffee_A.b:c@d-e", "auth0|5f7c", "a+b@c", "é/%2F?#", &"é".repeat(256)] {
            assert_eq!(Id::new(good).map(|id| id.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", " ", "a b", "a\u{a0}", "a\n", "\u{0}", "\u{7f}", &"é".repeat(257)] {
            assert_eq!(Id::new(bad), Err(InvalidId::Characters), "{bad:?}");
        }
        for folder in [".", ".."] {
            assert_eq!(Id::new(folder), Err(InvalidId::Dots));
        }
        assert!(Id::new("...").is_ok());
    }

    #[test]
    fn a_whole_number_is_read_as_the_id_that_javascript_makes_of_it() {
        for (json, id) in [
            ("42", "42"),
            ("42.0", "42"),
            ("-0.0", "0"),
            ("18446744073709551615", "18446744073709551615"),
        ] {
            assert_eq!(serde_json::from_str::<Id>(json).unwrap().as_str(), id);
        }
        for bad in ["-1", "-1.0", "1.5", "{}", "true"] {
            assert!(serde_json::from_str::<Id>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_given_id_keeps_its_form() {
        for json in ["42", "\"42\"", "0.5", "-7", "1e300", "\"a\""] {
            let mut read = serde_json::Deserializer::from_str(json);
            let given = GivenId::any(&mut read).unwrap().unwrap();
            let number = |json: &str| json.parse::<f64>().ok();
            let written = serde_json::to_string(&given).unwrap();
            assert_eq!(
                (number(&written), written.contains('"')),
                (number(json), json.contains('"'))
            );
            assert_eq!(GivenId::from_text(&given.to_text()), Ok(given));
        }
        assert_eq!(GivenId::any(serde_json::Value::Null).unwrap(), None);
        assert!(GivenId::any(serde_json::json!(" 42")).is_err());
        assert!(serde_json::from_str::<GivenId>("0.5").is_err());
        assert!(GivenId::from_text("  1").is_err());
    }

    #[test]
    fn a_code_is_of_letters_and_digits_that_are_taken_for_no_others() {
        let code = readable_code();
        assert_eq!(code.len(), 8);
        assert!(code.bytes().all(|letter| CODE_ALPHABET.contains(&letter)), "{code}");
        assert!(!CODE_ALPHABET.iter().any(|letter| b"01IO".contains(letter)));
        assert_ne!(code, readable_code());
    }
}
