//! What callers ask of accounts, and the rules of its fields (docs/contract/rest.md#auth). No
//! password and no token of them is shown, `Debug` included.
#![expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives its context by reference")]

use garde::Validate;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;

use super::email::EmailAddress;
use crate::text::{self, PersonName};

/// Characters of a password.
const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 8..=200;

/// Bytes of a token that may be one of ours, at most.
const MAX_TOKEN_BYTES: usize = 200;

/// An account to create.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct Register {
    /// Nobody else has it here.
    pub(super) email: EmailAddress,
    /// 8–200 characters.
    #[garde(custom(good_password))]
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 200)]
    pub(super) password: SecretString,
    /// The given name.
    pub(super) first_name: PersonName,
    /// The family name.
    pub(super) last_name: PersonName,
    /// One of those that people may give themselves here: `user`, `buyer` or `seller`.
    #[schema(max_length = 32)]
    pub(super) role: Option<String>,
    /// The code of who brought them.
    #[garde(inner(length(chars, min = 1, max = 64), custom(text::line)))]
    #[schema(min_length = 1, max_length = 64)]
    pub(super) referral_code: Option<String>,
}

/// The credentials of a user.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct Login {
    /// Their address.
    pub(super) email: EmailAddress,
    /// Their password.
    #[garde(custom(any_password))]
    #[schema(value_type = String, format = Password, max_length = 200)]
    pub(super) password: SecretString,
}

/// A refresh token to exchange.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct Refresh {
    /// The last that was given.
    #[garde(custom(possible_token))]
    #[schema(value_type = String, max_length = 200)]
    pub(super) refresh_token: SecretString,
}

/// A new password, by the old one or by a token for that: one of the two.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct ChangePassword {
    /// The password so far.
    #[garde(inner(custom(any_password)))]
    #[schema(value_type = Option<String>, format = Password, max_length = 200)]
    pub(super) old_password: Option<SecretString>,
    /// What `POST /api/auth/password-resets` gave.
    #[garde(inner(custom(possible_token)))]
    #[schema(value_type = Option<String>, max_length = 200)]
    pub(super) reset_token: Option<SecretString>,
    /// 8–200 characters.
    #[garde(custom(good_password))]
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 200)]
    pub(super) new_password: SecretString,
}

/// Whose password is to be reset.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct AskReset {
    /// Their address.
    pub(super) email: EmailAddress,
}

fn good_password(password: &SecretString, (): &()) -> garde::Result {
    require(PASSWORD_CHARS.contains(&chars(password)), "has 8–200 characters")
}

/// One that is only compared: what is too short is wrong, and no more is told.
fn any_password(password: &SecretString, (): &()) -> garde::Result {
    require(chars(password) <= *PASSWORD_CHARS.end(), "has at most 200 characters")
}

fn possible_token(token: &SecretString, (): &()) -> garde::Result {
    require(token.expose_secret().len() <= MAX_TOKEN_BYTES, "is not a token of this server")
}

fn chars(password: &SecretString) -> usize {
    password.expose_secret().chars().count()
}

fn require(met: bool, sentence: &str) -> garde::Result {
    if met { Ok(()) } else { Err(garde::Error::new(sentence)) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::rest::json::{decode, validate};

    fn register(change: impl FnOnce(&mut Value)) -> crate::error::Result<Register> {
        let mut body = json!({
            "email": "ada@example.org", "password": "correct horse", "firstName": "Ada",
            "lastName": "Lovelace",
        });
        change(&mut body);
        let register: Register = decode(body.to_string().as_bytes())?;
        validate(&register).map(|()| register)
    }

    #[test]
    fn each_field_has_its_rule() {
        let ada = register(|_| {}).unwrap();
        assert!(!format!("{ada:?}").contains("horse"));
        for (field, good) in [
            ("password", json!("é".repeat(200))),
            ("role", Value::Null),
            ("referralCode", Value::Null),
        ] {
            assert!(register(|body| body[field] = good).is_ok(), "{field}");
        }
        for (field, bad) in [
            ("email", json!("ada")),
            ("password", json!("7 chars")),
            ("password", json!("é".repeat(201))),
            ("password", json!(12_345_678)),
            ("firstName", json!("")),
            ("lastName", json!("a\nb")),
            ("role", json!(["admin"])),
            ("referralCode", json!("x".repeat(65))),
            ("admin", json!(true)),
        ] {
            let error = register(|body| body[field] = bad.clone()).unwrap_err();
            let fields: Vec<_> = error.fields().iter().map(|field| &*field.pointer).collect();
            assert_eq!(fields, [format!("/{field}")], "{bad}");
            assert!(!error.detail().contains("chars"), "{error}");
        }
    }
}
