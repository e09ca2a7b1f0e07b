//! The tokens that clients bring, HS256, and the check of the peers written in Rust.

use anyhow::Result;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use stoa::clock::Clock;

/// The secret of all servers of a run.
pub const SECRET: &str = "a secret of benchmarks: known to all and worth nothing";

const DAY_S: i64 = 86_400;

/// What a token says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claims {
    /// Whose it is.
    pub user_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(default)]
    iat: i64,
    exp: i64,
}

/// The name of the `n`th user; all names are of one length, so that all frames are.
pub fn user(n: u32) -> String {
    format!("user-{n:06}")
}

/// A token of the `n`th user that lives for a day.
///
/// # Errors
/// When it cannot be signed.
pub fn sign(n: u32) -> Result<String> {
    sign_as(user(n), None)
}

/// A token of the `n`th user, who is an admin.
///
/// # Errors
/// When it cannot be signed.
pub fn of_an_admin(n: u32) -> Result<String> {
    sign_as(user(n), Some("admin".into()))
}

/// A token of a backend service.
///
/// # Errors
/// When it cannot be signed.
pub fn of_a_service() -> Result<String> {
    sign_as("backend".into(), Some("service".into()))
}

fn sign_as(user_id: String, role: Option<String>) -> Result<String> {
    let iat = Clock::system().now().seconds();
    let claims = Claims { user_id, role, iat, exp: iat + DAY_S };
    Ok(encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes()))?)
}

/// Checks tokens, as a peer does at the handshake.
#[derive(Clone)]
pub struct Verifier {
    key: DecodingKey,
    rules: Validation,
}

impl Verifier {
    /// One that knows the secret.
    pub fn new() -> Self {
        let key = DecodingKey::from_secret(SECRET.as_bytes());
        Self { key, rules: Validation::new(Algorithm::HS256) }
    }

    /// Whose token it is.
    ///
    /// # Errors
    /// When it is none of ours, or too old.
    pub fn user_id(&self, token: &str) -> Result<String> {
        Ok(decode::<Claims>(token, &self.key, &self.rules)?.claims.user_id)
    }
}
