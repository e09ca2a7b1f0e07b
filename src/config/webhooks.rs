//! `[webhooks]`: backends that are told of what happens; none unless a URL is set.
#![expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives its context by reference")]

use std::{collections::BTreeSet, time::Duration};

use garde::{Error, Path, Report, Validate};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{notation, rules::positive};
use crate::{
    event::EventPatterns,
    outgoing::{Network, Place},
    signature::SigningKeys,
};

/// The name of the webhook that the environment sets.
pub const DEFAULT_NAME: &str = "default";

/// Webhooks, at most.
const MOST: usize = 100;

/// `[webhooks]`
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[garde(allow_unvalidated)]
pub struct WebhooksConfig {
    /// `WEBHOOK_URL`: the backend that is told; unset has only the others told.
    pub url: Option<String>,
    /// `WEBHOOK_SECRET`: what it verifies that it is this server that calls.
    #[serde(serialize_with = "notation::hidden")]
    #[garde(inner(custom(signing_secret)))]
    pub secret: Option<SecretString>,
    /// `WEBHOOK_EVENTS`: patterns of the events that it is told.
    #[garde(custom(patterns))]
    pub events: Vec<String>,
    /// Whether that URL may be one of this machine or of a private network.
    pub private: bool,
    /// The others.
    #[garde(length(max = MOST), dive)]
    pub endpoints: Vec<WebhookConfig>,
    /// How long a call may take.
    #[serde(with = "humantime_serde")]
    #[garde(custom(positive))]
    pub timeout: Duration,
    /// Calls of a webhook that are under way at once.
    #[garde(range(min = 1, max = 1000))]
    pub max_calls: usize,
}

/// One of `webhooks.endpoints`.
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct WebhookConfig {
    /// What operators know it by.
    #[garde(custom(short_name))]
    pub name: String,
    /// The backend that is told.
    pub url: String,
    /// What it verifies that it is this server that calls.
    #[serde(default, serialize_with = "notation::hidden")]
    #[garde(inner(custom(signing_secret)))]
    pub secret: Option<SecretString>,
    /// Patterns of the events that it is told.
    #[serde(default = "all_events")]
    #[garde(custom(patterns))]
    pub events: Vec<String>,
    /// Whether the URL may be one of this machine or of a private network.
    #[serde(default)]
    pub private: bool,
}

impl WebhookConfig {
    /// Where it is, and the network that a name in that may lead into; in `development` this machine
    /// always may be named.
    ///
    /// # Errors
    /// Why it may not be called there, as a sentence.
    pub fn place(&self, development: bool) -> Result<(Place, Network), &'static str> {
        let place = Place::read(&self.url)?;
        let near = self.private || (development && place.is_this_machine());
        let network = match (near, place.is_encrypted()) {
            (true, true) => Network::Any,
            (true, false) => Network::Private,
            (false, true) => Network::Public,
            (false, false) => {
                return Err("has to be https; http is for this machine in development, and for \
                     addresses of a private network where it is said to be private");
            }
        };
        if place.may_be_in(network) {
            return Ok((place, network));
        }
        Err(match network {
            Network::Private => "http is for addresses of a private network alone",
            _ => "is an address of this machine or of a private network; say that it is private",
        })
    }
}

impl WebhooksConfig {
    /// All of them: that of the environment, then the others.
    #[must_use]
    pub fn all(&self) -> Vec<WebhookConfig> {
        let own = self.url.as_ref().map(|url| WebhookConfig {
            name: DEFAULT_NAME.to_owned(),
            url: url.clone(),
            secret: self.secret.clone(),
            events: self.events.clone(),
            private: self.private,
        });
        own.into_iter().chain(self.endpoints.iter().cloned()).collect()
    }

    /// Checks what each needs beside its URL, and where that leads.
    pub(super) fn check(&self, development: bool, report: &mut Report) {
        let mut names = BTreeSet::new();
        if self.url.is_none() && self.secret.is_some() {
            let sentence = "is for a webhook of that URL: set WEBHOOK_URL";
            report.append(Path::new("webhooks").join("secret"), Error::new(sentence));
        }
        for (at, webhook) in self.all().iter().enumerate() {
            let at = at.checked_sub(usize::from(self.url.is_some()));
            let section = Path::new("webhooks");
            let section = match at {
                Some(at) => section.join("endpoints").join(at),
                None => section,
            };
            let mut refuse = |key: &str, sentence: &str| {
                report.append(section.join(key), Error::new(sentence));
            };
            if webhook.secret.is_none() {
                refuse("secret", "a webhook needs a secret that the backend knows, too");
            }
            if let Err(sentence) = webhook.place(development) {
                refuse("url", sentence);
            }
            if !names.insert(webhook.name.clone()) {
                refuse("name", "is the name of another webhook");
            }
        }
    }
}

fn all_events() -> Vec<String> {
    vec!["*".to_owned()]
}

fn short_name(name: &str, (): &()) -> garde::Result {
    let is_one = (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if is_one { Ok(()) } else { Err(Error::new("has 1–64 characters of a–z, 0–9 and -")) }
}

fn signing_secret(secret: &SecretString, (): &()) -> garde::Result {
    SigningKeys::read(secret).map_err(Error::new)?;
    Ok(())
}

fn patterns(patterns: &[String], (): &()) -> garde::Result {
    EventPatterns::new(patterns).map_err(Error::new)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn on() -> Config {
        let mut config = Config::for_tests();
        config.webhooks.url = Some("https://app.example.com/hooks?a=b".to_owned());
        config.webhooks.secret = Some(SECRET.into());
        config.webhooks.endpoints = vec![WebhookConfig {
            name: "push".to_owned(),
            url: "https://push.example.com".to_owned(),
            secret: Some(SECRET.into()),
            events: all_events(),
            private: false,
        }];
        config
    }

    #[test]
    fn a_webhook_needs_a_name_of_its_own_a_url_and_a_secret() {
        type Spoil = fn(&mut WebhooksConfig);
        assert!(on().validate().is_ok());
        let cases: [(&str, Spoil); 10] = [
            ("webhooks.secret", |c| c.secret = None),
            ("webhooks.secret", |c| c.url = None),
            ("webhooks.secret", |c| c.secret = Some("whsec_c2hvcnQ=".into())),
            ("webhooks.events", |c| c.events.push("disconnect".to_owned())),
            ("webhooks.url", |c| c.url = Some("http://app.example.com".to_owned())),
            ("webhooks.timeout", |c| c.timeout = Duration::ZERO),
            ("webhooks.endpoints[0].secret", |c| c.endpoints[0].secret = None),
            ("webhooks.endpoints[0].name", |c| c.endpoints[0].name = "Push!".to_owned()),
            ("webhooks.endpoints[0].name", |c| c.endpoints[0].name = DEFAULT_NAME.to_owned()),
            ("webhooks.endpoints[0].url", |c| c.endpoints[0].url = "https://10.0.0.1".to_owned()),
        ];
        for (key, spoil) in cases {
            let mut config = on();
            spoil(&mut config.webhooks);
            let report = config.validate().unwrap_err();
            let keys: Vec<_> = report.iter().map(|(path, _)| path.to_string()).collect();
            assert_eq!(keys, [key]);
        }
    }

    #[test]
    fn a_url_is_public_or_said_to_be_private() {
        use Network::{Any, Private, Public};
        let [production, development] = [false, true];
        for (url, environment, private, expected) in [
            ("https://app.example.com", production, false, Some(Public)),
            ("https://app.example.com", production, true, Some(Any)),
            ("https://8.8.8.8", production, false, Some(Public)),
            ("https://10.0.0.1", production, false, None),
            ("https://10.0.0.1", production, true, Some(Any)),
            ("https://169.254.169.254", production, false, None),
            ("https://localhost", production, false, Some(Public)),
            ("http://localhost:4000", development, false, Some(Private)),
            ("http://127.0.0.1:4000", development, false, Some(Private)),
            ("http://127.0.0.1:4000", production, false, None),
            ("http://127.0.0.1:4000", production, true, Some(Private)),
            ("http://backend:4000", production, true, Some(Private)),
            ("http://backend:4000", development, false, None),
            ("http://8.8.8.8", production, true, None),
            ("https://me:secret@app.example.com", production, true, None),
            ("app.example.com", production, true, None),
        ] {
            let mut webhook = on().webhooks.endpoints.remove(0);
            (webhook.url, webhook.private) = (url.to_owned(), private);
            let network = webhook.place(environment).ok().map(|(_, network)| network);
            assert_eq!(network, expected, "{url} {environment} {private}");
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let shown = format!("{:?} {}", on(), toml::to_string(&on()).unwrap());
        assert!(shown.contains("push.example.com") && !shown.contains("MfKQ"), "{shown}");
    }
}
