//! E-mail addresses as accounts have them: one spelling each, so that one address is one account.

use std::fmt;

use serde::Deserialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        KnownFormat, Object, RefOr, SchemaFormat,
        schema::{Schema, Type},
    },
};

/// Bytes of an address, at most (RFC 5321, section 4.5.3.1, less the brackets around it).
const MAX_BYTES: usize = 254;

/// An e-mail address without spaces around it, in lower case.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct EmailAddress(Box<str>);

/// Why a text is not an [`EmailAddress`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not an e-mail address of at most 254 bytes")]
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
        let text = text.trim();
        // Before it is gone through: it may be as large as a body.
        if text.len() > MAX_BYTES {
            return Err(InvalidEmail);
        }
        let text = text.to_lowercase();
        let refused = |c: char| c.is_whitespace() || c.is_control();
        let parts = text.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !domain.contains('@')
        });
        if parts && text.len() <= MAX_BYTES && !text.contains(refused) {
            Ok(Self(text.into()))
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
            .max_length(Some(MAX_BYTES))
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
        assert_eq!(read("Élodie+x@Exämple.org").as_deref(), Ok("élodie+x@exämple.org"));
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
