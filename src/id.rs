//! Identifiers: what counts as one when a client or another backend sends it, and new ones of ours.

use std::{borrow::Borrow, fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Object, RefOr,
        schema::{Schema, Type},
    },
};
use uuid::Uuid;

/// An id of a user, a conversation, a request and so on: 1–128 characters from
/// `[A-Za-z0-9_.:@-]` (contract/events.md, "Times, ids, money"). Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "IdInput")]
pub struct Id(Arc<str>);

/// Clients in production send ids as strings, some of them as numbers.
#[derive(Deserialize)]
#[serde(untagged, expecting = "an id: a string of 1–128 characters from [A-Za-z0-9_.:@-]")]
enum IdInput {
    Text(String),
    Number(u64),
}

/// Why a string is not an [`Id`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id has 1–128 characters from [A-Za-z0-9_.:@-]")]
pub struct InvalidId;

impl Id {
    /// Takes a string as an id.
    ///
    /// # Errors
    /// [`InvalidId`] when it is empty, too long or has other characters.
    pub fn new(text: &str) -> Result<Self, InvalidId> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.:@-".contains(&b);
        if (1..=128).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId)
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<IdInput> for Id {
    type Error = InvalidId;

    fn try_from(input: IdInput) -> Result<Self, InvalidId> {
        match input {
            IdInput::Text(text) => Self::new(&text),
            IdInput::Number(number) => Self::new(&number.to_string()),
        }
    }
}

impl std::str::FromStr for Id {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::new(text)
    }
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
            .pattern(Some("^[A-Za-z0-9_.:@-]{1,128}$"))
            .description(Some(
                "An id: a UUIDv7 of this server's, or any that another backend made.",
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_1_to_128_plain_characters() {
        assert!(Id::new("64f1c0ffee_A.b:c@d-e").is_ok());
        assert!(Id::new(&"x".repeat(128)).is_ok());
        for bad in ["", " ", "a b", "é", "a/b", "a\n", &"x".repeat(129)] {
            assert_eq!(Id::new(bad), Err(InvalidId), "{bad:?}");
        }
    }

    #[test]
    fn a_number_is_read_as_an_id() {
        assert_eq!(serde_json::from_str::<Id>("42").ok(), Id::new("42").ok());
        assert!(serde_json::from_str::<Id>("-1").is_err());
        assert!(serde_json::from_str::<Id>("{}").is_err());
    }
}
