//! Who is calling: takes a token or an API key from a request or a handshake, verifies it, and
//! names the caller. What the caller may do is decided in the rooms above.

mod acting;
mod api_key;
mod authenticator;
mod callers;
mod credentials;
mod extract;
mod identity;
mod jwks;
mod keys;
mod mint;
mod revocations;
mod roles;
#[cfg(test)]
mod tests;
mod token;
mod token_key;
mod verify;

use std::borrow::Cow;

use crate::config::{MIN_SECRET_BYTES, ShortSecret};

pub use acting::{ActingDoor, OWN_NAME, takes_act_as};
pub use api_key::{ApiKey, ApiKeys, Scopes};
pub use authenticator::{Authenticated, Authenticator};
pub use callers::{
    Actor, AdminCaller, Caller, EmitCaller, NamingCaller, OperatorCaller, ServiceCaller,
};
pub use credentials::{CredentialKind, Credentials};
pub use extract::{TokenSources, given_token, take_query_token};
pub use identity::Identity;
pub use mint::{Minter, NewToken};
pub use revocations::{Older, Revocations, Revoked};
pub use roles::{Role, Roles};
pub use token::TokenError;
pub use token_key::TokenKey;
pub use verify::{MAX_TOKEN_BYTES, Verifier};

/// A setting that can't be used; it stops the start. Never holds the setting's value.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct SetupError {
    setting: &'static str,
    problem: Cow<'static, str>,
}

impl SetupError {
    fn new(setting: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self { setting, problem: problem.into() }
    }
}

fn check_secret(setting: &'static str, secret: &str, short: ShortSecret) -> Result<(), SetupError> {
    if secret.len() < MIN_SECRET_BYTES && short == ShortSecret::Refuse {
        return Err(SetupError::new(setting, "needs at least 32 bytes"));
    }
    Ok(())
}
