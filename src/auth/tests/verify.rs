//! Each way in which a token is accepted or refused.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::*;
use crate::{
    auth::{Minter, NewToken, Role, Roles, TokenError, Verifier},
    id::Id,
    text::PersonName,
};

fn verifier(settings: &AuthConfig) -> Verifier {
    Verifier::new(settings, clock()).unwrap()
}

/// The user of a token, or why it is refused.
async fn user(settings: &AuthConfig, token: &str) -> Result<String, TokenError> {
    verifier(settings).verify(token).await.map(|identity| identity.user_id.to_string())
}

/// Why a token of the shared secret with these claims is refused.
async fn refusal(claims: Value) -> Option<TokenError> {
    let mut claims = claims;
    claims["userId"] = json!("alice");
    user(&with_secret(), &hs256(&claims)).await.err()
}

/// A token with this header, signed as HS256 with the shared secret.
fn with_header(header: &Value) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let message = format!("{}.{}", part(header), part(&alice()));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256);
    format!("{message}.{}", signature.unwrap())
}

#[tokio::test]
async fn each_kind_of_key_verifies_its_own_tokens() {
    let with_key = |pem: &str| AuthConfig { jwt_public_key: Some(pem.to_owned()), ..settings() };
    let certificate = include_str!("../../../tests/keys/rsa.cert.pem");
    for (settings, token) in [
        (with_secret(), hs256(&alice())),
        (with_key(RSA_PUBLIC), sign(Algorithm::RS256, &rsa(), None, &alice())),
        (with_key(certificate), sign(Algorithm::RS256, &rsa(), Some("any"), &alice())),
        (with_key(P256_PUBLIC), sign(Algorithm::ES256, &p256(), None, &alice())),
        (with_key(ED25519_PUBLIC), sign(Algorithm::EdDSA, &ed25519(), None, &alice())),
        (
            with_key(&ED25519_PUBLIC.replace('\n', "\\n")),
            sign(Algorithm::EdDSA, &ed25519(), None, &alice()),
        ),
        (
            with_key(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys/p256.pub.pem")),
            sign(Algorithm::ES256, &p256(), None, &alice()),
        ),
    ] {
        assert_eq!(user(&settings, &token).await.as_deref(), Ok("alice"));
    }
}

#[tokio::test]
async fn a_secret_and_a_public_key_work_side_by_side() {
    let both = AuthConfig { jwt_public_key: Some(ED25519_PUBLIC.into()), ..with_secret() };
    assert!(user(&both, &hs256(&alice())).await.is_ok());
    let signed = |key: EncodingKey| sign(Algorithm::EdDSA, &key, None, &alice());
    assert!(user(&both, &signed(ed25519())).await.is_ok());
    assert_eq!(user(&both, &signed(ed25519_next())).await, Err(TokenError::Signature));
}

#[tokio::test]
async fn a_secret_is_for_each_hash_and_the_one_before_is_still_believed() {
    let previous = "the secret of last year, with 32 bytes";
    let settings = AuthConfig { jwt_secret_previous: Some(previous.into()), ..with_secret() };
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        for secret in [SECRET, previous] {
            let key = EncodingKey::from_secret(secret.as_bytes());
            let token = sign(algorithm, &key, None, &alice());
            assert!(user(&settings, &token).await.is_ok(), "{algorithm:?}");
        }
        let other = EncodingKey::from_secret(b"another secret of thirty-two bytes");
        let forged = sign(algorithm, &other, None, &alice());
        assert_eq!(user(&settings, &forged).await, Err(TokenError::Signature));
    }
}

#[tokio::test]
async fn a_pem_may_hold_several_keys_and_each_has_to_be_usable() {
    let rsa_1024 = include_str!("../../../tests/keys/rsa-1024.pub.pem");
    let pem = format!("# ours\n{RSA_PUBLIC}\n{P256_PUBLIC}{ED25519_PUBLIC}");
    let keys = |pem: &str| AuthConfig { jwt_public_key: Some(pem.to_owned()), ..settings() };
    for token in [
        sign(Algorithm::RS256, &rsa(), Some("any"), &alice()),
        sign(Algorithm::ES256, &p256(), None, &alice()),
        sign(Algorithm::EdDSA, &ed25519(), None, &alice()),
    ] {
        assert!(user(&keys(&pem), &token).await.is_ok());
        assert!(user(&keys(&pem.replace('\n', "\\n")), &token).await.is_ok());
    }
    let forged = sign(Algorithm::EdDSA, &ed25519_next(), None, &alice());
    assert_eq!(user(&keys(&pem), &forged).await, Err(TokenError::Signature));
    let spoilt = Verifier::new(&keys(&format!("{pem}\n{rsa_1024}")), clock()).unwrap_err();
    assert!(spoilt.to_string().starts_with("JWT_PUBLIC_KEY: needs"), "{spoilt}");
}

#[tokio::test]
async fn a_public_key_is_never_taken_as_a_secret() {
    let only_key = AuthConfig { jwt_public_key: Some(RSA_PUBLIC.into()), ..settings() };
    let both = AuthConfig { jwt_secret: Some(SECRET.into()), ..only_key.clone() };
    for secret in [RSA_PUBLIC, RSA_PUBLIC.trim()] {
        let key = EncodingKey::from_secret(secret.as_bytes());
        let forged = sign(Algorithm::HS256, &key, None, &alice());
        assert_eq!(user(&only_key, &forged).await, Err(TokenError::Algorithm));
        assert_eq!(user(&both, &forged).await, Err(TokenError::Signature));
    }
}

#[tokio::test]
async fn a_key_is_for_one_algorithm() {
    let key = AuthConfig { jwt_public_key: Some(RSA_PUBLIC.into()), ..settings() };
    for algorithm in [Algorithm::RS384, Algorithm::RS512, Algorithm::PS256] {
        let token = sign(algorithm, &rsa(), None, &alice());
        assert_eq!(user(&key, &token).await, Err(TokenError::Algorithm), "{algorithm:?}");
    }
    let other = sign(Algorithm::ES256, &p256(), None, &alice());
    assert_eq!(user(&key, &other).await, Err(TokenError::Algorithm));
    let other = sign(Algorithm::RS256, &rsa(), None, &alice());
    assert_eq!(user(&with_secret(), &other).await, Err(TokenError::Algorithm));
}

#[tokio::test]
async fn a_token_without_a_real_algorithm_is_refused() {
    for header in [
        json!({"alg": "none"}),
        json!({"alg": "None"}),
        json!({"alg": "hs256"}),
        json!({"alg": ""}),
        json!({"alg": ["HS256"]}),
        json!({"typ": "JWT"}),
    ] {
        let token = with_header(&header);
        let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
        for token in [token, unsigned] {
            let refused = user(&with_secret(), &token).await;
            assert_eq!(refused, Err(TokenError::Algorithm), "{header}");
        }
    }
}

#[tokio::test]
async fn what_is_not_a_token_is_malformed() {
    let token = hs256(&alice());
    for bad in ["", "a", "a.b", ".", &format!("{token}.x"), "a.b.c.d.e"] {
        assert_eq!(user(&with_secret(), bad).await, Err(TokenError::Malformed), "{bad:?}");
    }
    let long = hs256(&json!({"userId": "alice", "name": "x".repeat(12_300)}));
    assert!(long.len() > 16 * 1024, "{}", long.len());
    assert_eq!(user(&with_secret(), &long).await, Err(TokenError::Malformed));
    let fits = hs256(&json!({"userId": "alice", "name": "x".repeat(12_000)}));
    assert!(user(&with_secret(), &fits).await.is_ok());
}

#[tokio::test]
async fn parts_that_can_not_be_read_are_invalid() {
    let token = hs256(&alice());
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = message.split_once('.').unwrap();
    let array = URL_SAFE_NO_PAD.encode("[]");
    for bad in [
        "..".to_owned(),
        format!("!.{payload}.{signature}"),
        format!("{header}=.{payload}.{signature}"),
        format!("{array}.{payload}.{signature}"),
        format!("{header}.{payload}.!"),
        format!("{header}.!.{signature}"),
        format!("{token} "),
    ] {
        assert_eq!(user(&with_secret(), &bad).await, Err(TokenError::Invalid), "{bad:?}");
    }
    let no_claims = hs256(&json!("alice"));
    assert_eq!(user(&with_secret(), &no_claims).await, Err(TokenError::Invalid));
    assert_eq!(user(&with_secret(), &hs256(&json!({}))).await, Err(TokenError::UserId));
}

#[tokio::test]
async fn a_changed_token_has_an_invalid_signature() {
    let token = hs256(&alice());
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, _) = message.split_once('.').unwrap();
    let eve = URL_SAFE_NO_PAD.encode(json!({"userId": "eve"}).to_string());
    let other = EncodingKey::from_secret(b"another secret of thirty-two bytes");
    for bad in [
        format!("{header}.{eve}.{signature}"),
        format!("{message}."),
        format!("{message}.{}", &signature[..40]),
        format!("{message}.{}_", &signature[..42]),
        sign(Algorithm::HS256, &other, None, &alice()),
        // The signature is checked before anything is said of the claims.
        sign(Algorithm::HS256, &other, None, &json!({"userId": "alice", "exp": 1})),
    ] {
        assert_eq!(user(&with_secret(), &bad).await, Err(TokenError::Signature), "{bad:?}");
    }
}

#[tokio::test]
async fn times_count_with_five_seconds_of_leeway() {
    for (claims, refused) in [
        (json!({"exp": NOW + 1}), None),
        (json!({"exp": NOW - 4}), None),
        (json!({"exp": NOW - 5}), Some(TokenError::Expired)),
        (json!({"exp": 0}), Some(TokenError::Expired)),
        (json!({"exp": -1e300}), Some(TokenError::Expired)),
        (json!({"exp": 1e300}), None),
        (json!({"nbf": NOW + 5}), None),
        (json!({"nbf": NOW + 6}), Some(TokenError::NotActive)),
        (json!({"nbf": 1_800_000_005.5}), Some(TokenError::NotActive)),
        (json!({"iat": NOW + 600}), None),
        (json!({"iat": NOW * 1000}), None),
        (json!({"exp": NOW * 1000}), None),
        (json!({"exp": 1_799_999_995.5}), None),
        (json!({"nbf": NOW + 60, "exp": 1}), Some(TokenError::NotActive)),
        (json!({"exp": "soon"}), Some(TokenError::Invalid)),
        (json!({"exp": null}), Some(TokenError::Invalid)),
        (json!({"nbf": {}}), Some(TokenError::Invalid)),
        (json!({"iat": "now"}), None),
    ] {
        assert_eq!(refusal(claims.clone()).await, refused, "{claims}");
    }
}

#[tokio::test]
async fn a_token_ends_as_the_clock_goes_on() {
    let clock = clock();
    let verifier = Verifier::new(&with_secret(), clock.clone()).unwrap();
    let token = hs256(&json!({"sub": "alice", "exp": NOW + 60}));
    let identity = verifier.verify(&token).await.unwrap();
    assert_eq!(identity.expires_at, Some(Timestamp::from_millis((NOW + 60) * 1000)));
    clock.advance(Duration::from_secs(65));
    assert_eq!(verifier.verify(&token).await, Err(TokenError::Expired));
    let endless = hs256(&json!({"sub": "alice"}));
    assert_eq!(verifier.verify(&endless).await.unwrap().expires_at, None);
}

#[tokio::test]
async fn issuer_and_audience_are_required_once_configured() {
    let settings = AuthConfig {
        jwt_issuer: Some("us".into()),
        jwt_audience: Some("web".into()),
        ..with_secret()
    };
    let audience = || Err(TokenError::Audience("web".into()));
    let issuer = || Err(TokenError::Issuer("us".into()));
    let ok = || Ok("alice".to_owned());
    for (claims, expected) in [
        (json!({"iss": "us", "aud": "web"}), ok()),
        (json!({"iss": "us", "aud": ["app", "web"]}), ok()),
        (json!({"iss": "us"}), audience()),
        (json!({"iss": "us", "aud": "we"}), audience()),
        (json!({"iss": "us", "aud": ["app"]}), audience()),
        (json!({"iss": "us", "aud": {"web": true}}), audience()),
        (json!({"aud": "web"}), issuer()),
        (json!({"aud": "web", "iss": "them"}), issuer()),
        (json!({"aud": "web", "iss": ["us"]}), issuer()),
    ] {
        let mut token = claims.clone();
        token["userId"] = json!("alice");
        assert_eq!(user(&settings, &hs256(&token)).await, expected, "{claims}");
        assert!(user(&with_secret(), &hs256(&token)).await.is_ok(), "{claims}");
    }
}

#[tokio::test]
async fn headers_that_ask_for_more_are_invalid() {
    for header in [
        json!({"alg": "HS256", "crit": ["exp"]}),
        json!({"alg": "HS256", "crit": []}),
        json!({"alg": "HS256", "kid": 7}),
    ] {
        let refused = user(&with_secret(), &with_header(&header)).await;
        assert_eq!(refused, Err(TokenError::Invalid), "{header}");
    }
    for kid in ["2026-01", "", "../../key", "kX2/Y+1b=", "a' OR 1=1", &"k".repeat(300)] {
        let named = with_header(&json!({"alg": "HS256", "typ": "JWT", "kid": kid}));
        assert!(user(&with_secret(), &named).await.is_ok(), "{kid}");
    }
}

#[tokio::test]
async fn a_minted_token_says_what_it_was_made_of() {
    let secret = SecretString::from(SECRET);
    let minter = Minter::new(&secret, Some("us"), Some("web")).unwrap();
    let token = NewToken {
        email: Some("ada@example.org".into()),
        first_name: Some("Ada".into()),
        last_name: Some("Lovelace".into()),
        rooms: vec!["ops.alerts".parse().unwrap()],
        ..NewToken::new(
            Id::new("ada").unwrap(),
            Roles::of(Role::Seller).with(Role::Admin),
            Duration::from_secs(90),
        )
    };
    let first = minter.mint(&token, clock().now()).unwrap();
    let settings = AuthConfig {
        jwt_issuer: Some("us".into()),
        jwt_audience: Some("web".into()),
        ..with_secret()
    };
    let identity = verifier(&settings).verify(&first).await.unwrap();
    assert_eq!(identity.user_id, token.user_id);
    assert_eq!(identity.email(), Some("ada@example.org"));
    assert_eq!(identity.display_name().as_ref().map(PersonName::as_str), Some("Ada Lovelace"));
    assert_eq!(identity.roles, token.roles);
    assert_eq!(*identity.rooms, *token.rooms);
    assert_eq!(identity.expires_at, Some(Timestamp::from_millis((NOW + 90) * 1000)));
    let again = minter.mint(&token, clock().now()).unwrap();
    let again = verifier(&settings).verify(&again).await.unwrap();
    assert!(identity.jti().is_some() && identity.jti() != again.jti());
}

#[tokio::test]
async fn a_token_of_a_sign_in_is_as_old_as_that() {
    let secret = SecretString::from(SECRET);
    let minter = Minter::new(&secret, None, None).unwrap();
    let since = clock().now() - Duration::from_hours(1);
    let token = NewToken {
        session: Some((Id::new("s1").unwrap(), since)),
        ..NewToken::new(Id::new("ada").unwrap(), Roles::NONE, Duration::from_secs(90))
    };
    let token = minter.mint(&token, clock().now()).unwrap();
    let identity = verifier(&with_secret()).verify(&token).await.unwrap();
    assert_eq!((identity.issued_at, identity.session()), (since, Some("s1")));
}

#[test]
fn a_key_that_can_not_be_used_stops_the_start() {
    let key = |pem: &str| AuthConfig { jwt_public_key: Some(pem.to_owned()), ..settings() };
    let short = || Some(SecretString::from("x".repeat(31)));
    for (settings, problem) in [
        (settings(), "JWT_SECRET: set this, JWT_PUBLIC_KEY or JWT_JWKS"),
        (AuthConfig { jwt_secret: short(), ..settings() }, "JWT_SECRET: needs at least 32 bytes"),
        (key("no/such/file.pem"), "JWT_PUBLIC_KEY: neither a PEM nor a file"),
        (
            key("-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----"),
            "JWT_PUBLIC_KEY: needs",
        ),
        (key(include_str!("../../../tests/keys/rsa.pem")), "JWT_PUBLIC_KEY: needs a public key"),
        (
            key(include_str!("../../../tests/keys/ed25519.pem")),
            "JWT_PUBLIC_KEY: needs a public key",
        ),
        (key(include_str!("../../../tests/keys/rsa-1024.pub.pem")), "JWT_PUBLIC_KEY: needs"),
        (key(include_str!("../../../tests/keys/p384.pub.pem")), "JWT_PUBLIC_KEY: needs"),
    ] {
        let error = Verifier::new(&settings, clock()).unwrap_err().to_string();
        assert!(error.starts_with(problem), "{error}");
    }
    assert!(Minter::new(&"".into(), None, None).is_err());
    let mut settings = AuthConfig { jwt_secret: Some(SECRET.into()), ..settings() };
    settings.jwt_secret_previous = short();
    let error = Verifier::new(&settings, clock()).unwrap_err().to_string();
    assert!(error.starts_with("JWT_SECRET_PREVIOUS: needs at least 32 bytes"), "{error}");
}

#[test]
fn secrets_do_not_show() {
    let secret = SecretString::from(SECRET);
    let minter = Minter::new(&secret, None, None).unwrap();
    let shown = format!("{minter:?} {:?}", verifier(&with_secret()));
    assert_eq!(shown, "Minter { .. } Verifier { .. }");
}
