//! What tokens are verified and signed with, and the other secrets.

use std::{collections::HashSet, env, fs, os::unix::fs::MetadataExt as _, path::Path};

use secrecy::ExposeSecret as _;
use serde_json::Value;
use stoa::{
    auth::Authenticator,
    clock::Clock,
    config::{Config, Environment},
};

use super::{
    finding::{Check, Finding},
    web,
};
use crate::cli::unanswered::Failed;

/// Fewer different characters are typed by somebody, or are a word again and again.
const DIFFERENT: usize = 10;

/// What is in the examples of the world.
const WORDS: [&str; 7] =
    ["secret", "password", "changeme", "change-me", "change_me", "your-", "example"];

pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut auth = config.auth.clone();
    let is_development = config.environment == Environment::Development;
    if !auth.has_key() {
        found.push(development(config));
        // The start makes one.
        auth.jwt_secret = Some("x".repeat(64).into());
    }
    let origins = config.origin_policy().map_err(anyhow::Error::from);
    let read = origins.and_then(|origins| Ok(Authenticator::new(&auth, origins, Clock::system())?));
    match read {
        Ok(_) if config.auth.has_key() => found.push(Check::Keys.ok(which(config))),
        Ok(_) => {}
        Err(error) => found.push(Check::Keys.problem(
            format!("the server would not start: {error:#}"),
            "put right the setting that is named; a file has to be readable for the user that the server runs as",
        )),
    }
    let secrets = [
        ("JWT_SECRET", &config.auth.jwt_secret),
        ("JWT_SECRET_PREVIOUS", &config.auth.jwt_secret_previous),
        ("AUTH_COOKIE_SECRET", &config.auth.cookie_secret),
    ];
    for (name, secret) in secrets {
        found.extend(secret.as_ref().and_then(|secret| weak(name, secret.expose_secret())));
    }
    if config.auth.jwt_secret_previous.is_some() {
        found.push(Check::Keys.note(
            "the key before this one is still believed (JWT_SECRET_PREVIOUS)",
            "take it away once no token of it lives any more",
        ));
    }
    let rotated =
        [("PROXY_SECRET", &config.proxy.secret), ("WEBHOOK_SECRET", &config.webhooks.secret)];
    for (name, secret) in rotated {
        if secret.as_ref().is_some_and(|secret| secret.expose_secret().contains(',')) {
            found.push(Check::Keys.note(
                format!("{name} has two secrets, and each call is signed with both"),
                "take the first away once the backend has the other",
            ));
        }
    }
    if is_development && !config.server.host.is_loopback() {
        found.push(Check::Keys.warning(
            format!("this is a development server, and it listens on {}", config.server.host),
            "STOA_ENV=production where others can reach it",
        ));
    }
    found.extend(open_files());
    if let Some(url) = config.auth.jwt_jwks.as_ref().filter(|source| source.contains("://")) {
        found.push(published(url).await);
    }
    found
}

/// The key that development makes for itself.
fn development(config: &Config) -> Finding {
    match config.clone().find_key() {
        Ok(()) => Check::Keys.ok("tokens are signed with the development secret of the data folder"),
        Err(_) if matches!(config.data.join("jwt-secret").try_exists(), Ok(false)) => Check::Keys.note(
            "there is no key yet: the first start makes a development secret",
            "for production set JWT_SECRET (`openssl rand -base64 48`), JWT_PUBLIC_KEY or JWT_JWKS",
        ),
        Err(error) => Check::Keys.problem(
            format!("the development secret can't be used: {error}"),
            "let the user that the server runs as read it, or remove the file to have a new one made",
        ),
    }
}

fn which(config: &Config) -> String {
    let auth = &config.auth;
    let kinds = [
        ("JWT_SECRET", auth.jwt_secret.is_some()),
        ("JWT_PUBLIC_KEY", auth.jwt_public_key.is_some()),
        ("JWT_JWKS", auth.jwt_jwks.is_some()),
    ];
    let kinds = kinds.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name);
    let services = match auth.api_keys.len() {
        0 => String::new(),
        1 => ", and one backend has an API key".to_owned(),
        number => format!(", and {number} backends have API keys"),
    };
    format!("tokens are verified by {}{services}", kinds.collect::<Vec<_>>().join(", "))
}

/// A secret that can be guessed.
fn weak(name: &str, secret: &str) -> Option<Finding> {
    let few = secret.chars().collect::<HashSet<_>>().len() < DIFFERENT;
    let small = secret.to_lowercase();
    let word = WORDS.iter().any(|word| small.contains(word)) && secret.contains(['-', '_', ' ']);
    let word = word || WORDS.contains(&small.trim_matches(|c: char| !c.is_alphabetic()));
    (few || word).then(|| {
        Check::Keys.warning(
            format!(
                "{name} looks like one that can be guessed: whoever does makes tokens for anybody"
            ),
            format!(
                "take one of chance, `openssl rand -base64 48`{}",
                if name == "JWT_SECRET" {
                    ", and keep the old one as JWT_SECRET_PREVIOUS while its tokens live"
                } else {
                    ""
                }
            ),
        )
    })
}

/// Files of secrets that everybody on this machine may read.
fn open_files() -> Vec<Finding> {
    let named = env::vars_os().filter_map(|(name, path)| {
        let name = name.into_string().ok()?;
        (name.ends_with("_FILE") && !path.is_empty()).then(|| (name, path.into()))
    });
    let files = named.chain([(".env".to_owned(), Path::new(".env").to_path_buf())]);
    let is_open = |path: &Path| fs::metadata(path).is_ok_and(|file| file.mode() & 0o004 != 0);
    let open = files.filter(|(name, path)| {
        let ours = name == ".env"
            || ["SECRET", "KEY", "URL", "PASSWORD", "HASH"].iter().any(|word| name.contains(word));
        ours && is_open(path)
    });
    open.map(|(name, path)| {
        Check::Keys.note(
            format!(
                "everybody on this machine may read the secrets in {} ({name})",
                path.display()
            ),
            format!("chmod o= {}", path.display()),
        )
    })
    .collect()
}

/// Keys that are fetched.
async fn published(url: &str) -> Finding {
    let shown = web::shown(url);
    let advice = "the server starts without them, and refuses every token until it has them: let this machine \
                  reach it, or name another with JWT_JWKS";
    let answer = async {
        let answer = web::client()?.get(url).send().await.map_err(|error| Failed::of(&error))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| Failed::of(&error))?;
        let keys = serde_json::from_slice::<Value>(&body).ok().filter(|_| status.is_success());
        let keys = keys.and_then(|keys| Some(keys.get("keys")?.as_array()?.len()));
        keys.ok_or_else(|| Failed::said(format!("the answer ({status}) has no keys")))
    };
    match answer.await {
        Ok(0) => Check::Keys.problem(format!("{shown} has no key (JWT_JWKS)"), advice),
        Ok(number) => Check::Keys.ok(format!("{shown} has {number} keys (JWT_JWKS)")),
        Err(why) => Check::Keys.problem(format!("{shown} (JWT_JWKS): {}", why.found), advice),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Level, *};

    #[test]
    fn a_secret_that_can_be_guessed_is_told_of_and_not_shown() {
        for secret in [
            "abababababababababababababababababab",
            "your-256-bit-secret-goes-here-please",
            "my_super_secret_key_of_the_chat_2024",
        ] {
            let found = weak("JWT_SECRET", secret).unwrap();
            assert_eq!(found.level, Level::Warning);
            assert!(!found.to_string().contains(secret), "{found}");
        }
        for secret in [
            "5f0c8b1e9a7d4c3b2a190807f6e5d4c3b2a1908f7e6d5c4b",
            "Zm9vYmFyIHNlY3JldCBwYXNzd29yZA8Jq1x0eWZ2Yk5hQWw",
        ] {
            assert_eq!(weak("JWT_SECRET", secret), None);
        }
    }
}
