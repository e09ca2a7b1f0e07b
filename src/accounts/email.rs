//! E-mail addresses as accounts have them: one spelling each, so that one address is one account.
//! What an address is `text::is_mail_address` says.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        KnownFormat, Object, RefOr, SchemaFormat,
        schema::{Schema, Type},
    },
};

use crate::text::{MAX_MAIL_ADDRESS_BYTES, NO_MAIL_ADDRESS, is_mail_address};

/// An e-mail address without spaces around it, in lower case.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct EmailAddress(Box<str>);

/// Why a text is not an [`EmailAddress`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{NO_MAIL_ADDRESS}")]
pub(super) struct InvalidEmail;

impl EmailAddress {
    /// The address as text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = InvalidEmail;

    fn try_from(text: String) -> Result<Self, InvalidEmail> {
        let text = text.trim_ascii();
        if is_mail_address(text) {
            Ok(Self(text.to_ascii_lowercase().into()))
        } else {
            Err(InvalidEmail)
        }
    }
}

/// Not the address: it is somebody's.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmailAddress").finish_non_exhaustive()
    }
}

impl PartialSchema for EmailAddress {
    fn schema() -> RefOr<Schema> {
        Object::builder()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Email)))
            .max_length(Some(MAX_MAIL_ADDRESS_BYTES))
            .description(Some("An e-mail address; neither case nor spaces around it matter."))
            .into()
    }
}

impl ToSchema for EmailAddress {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, InvalidEmail> {
        EmailAddress::try_from(text.to_owned()).map(|email| email.as_str().to_owned())
    }

    #[test]
    fn one_address_has_one_spelling() {
        for text in ["ada@example.org", " Ada@Example.ORG\n", "ADA@EXAMPLE.ORG"] {
            assert_eq!(read(text).as_deref(), Ok("ada@example.org"));
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@example.org", "a".repeat(243));
        for bad in ["", "@", "ada", "ada@", "@example.org", "a@b@c", "a b@c", "a@b\u{0}", &long] {
            assert_eq!(read(bad), Err(InvalidEmail), "{bad:?}");
        }
        assert!(read(&long[1..]).is_ok());
    }
}
