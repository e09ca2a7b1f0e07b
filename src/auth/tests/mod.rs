//! Real keys, tokens signed with them, and the settings that the tests below start from.

mod callers;
mod jwks;
mod verify;

use std::{collections::BTreeMap, time::Duration};

use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};

use crate::{
    clock::{Clock, Timestamp},
    config::{AuthConfig, Handshake, ShortSecret},
};

const SECRET: &str = "a secret of more than thirty-two bytes";
const RSA_PUBLIC: &str = include_str!("../../../tests/keys/rsa.pub.pem");
const P256_PUBLIC: &str = include_str!("../../../tests/keys/p256.pub.pem");
const ED25519_PUBLIC: &str = include_str!("../../../tests/keys/ed25519.pub.pem");

/// The time at which every test begins, in seconds.
const NOW: i64 = 1_800_000_000;

fn clock() -> Clock {
    Clock::manual(Timestamp::from_millis(NOW * 1000))
}

/// No key at all, the defaults for the rest.
fn settings() -> AuthConfig {
    AuthConfig {
        jwt_secret: None,
        jwt_secret_previous: None,
        jwt_short_secret: ShortSecret::Refuse,
        jwt_public_key: None,
        jwt_jwks: None,
        jwks_refresh: Duration::from_mins(10),
        jwt_issuer: None,
        jwt_audience: None,
        leeway: Duration::from_secs(5),
        cookies: vec!["token".into(), "accessToken".into()],
        role_names: BTreeMap::new(),
        cookie_secret: None,
        query: None,
        handshake: Handshake::Required,
        api_keys: Vec::new(),
    }
}

fn with_secret() -> AuthConfig {
    AuthConfig { jwt_secret: Some(SECRET.into()), ..settings() }
}

fn rsa() -> EncodingKey {
    EncodingKey::from_rsa_pem(include_bytes!("../../../tests/keys/rsa.pem")).unwrap()
}

fn p256() -> EncodingKey {
    EncodingKey::from_ec_pem(include_bytes!("../../../tests/keys/p256.pem")).unwrap()
}

fn ed25519() -> EncodingKey {
    EncodingKey::from_ed_pem(include_bytes!("../../../tests/keys/ed25519.pem")).unwrap()
}

fn ed25519_next() -> EncodingKey {
    EncodingKey::from_ed_pem(include_bytes!("../../../tests/keys/ed25519-next.pem")).unwrap()
}

/// A token of these claims.
fn sign(algorithm: Algorithm, key: &EncodingKey, kid: Option<&str>, claims: &Value) -> String {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

/// A token of these claims, with the shared secret.
fn hs256(claims: &Value) -> String {
    sign(Algorithm::HS256, &EncodingKey::from_secret(SECRET.as_bytes()), None, claims)
}

/// A token's claims that say only who it is.
fn alice() -> Value {
    json!({"userId": "alice"})
}

/// The public half of a key as a JWK, with these members besides.
fn jwk(algorithm: Algorithm, key: &EncodingKey, members: &Value) -> Value {
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(key, algorithm).unwrap()).unwrap();
    let object = jwk.as_object_mut().unwrap();
    object.remove("alg");
    object.extend(members.as_object().unwrap().clone());
    jwk
}
