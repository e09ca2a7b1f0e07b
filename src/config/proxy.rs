//! `[proxy]`: the event proxy, which is off unless its URL is set.
#![expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives its context by reference")]

use std::time::Duration;

use garde::{Error, Path, Report, Validate};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{notation, rules::positive};
use crate::{
    event::EventPatterns,
    outgoing::{Network, Place},
    signature::SigningKeys,
};

/// `[proxy]`
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[garde(allow_unvalidated)]
pub struct ProxyConfig {
    /// `PROXY_URL`: the backend that is asked; unset turns the proxy off.
    pub url: Option<String>,
    /// `PROXY_SECRET`: what it verifies that it is this server that asks.
    #[serde(serialize_with = "notation::hidden")]
    #[garde(inner(custom(signing_secret)))]
    pub secret: Option<SecretString>,
    /// `PROXY_EVENTS`: patterns of the events that it is asked.
    #[garde(custom(patterns))]
    pub events: Vec<String>,
    /// `PROXY_ROOMS`: whether it is asked about rooms and conversations that are not kept here.
    pub rooms: bool,
    /// `PROXY_TIMEOUT`: from an event's turn to its answer.
    #[serde(with = "humantime_serde")]
    #[garde(custom(positive))]
    pub timeout: Duration,
    /// Whether the URL may be http, and then of a private network.
    pub allow_http: bool,
    /// Questions that are under way at once.
    #[garde(range(min = 1, max = 10_000))]
    pub max_calls: usize,
    /// Questions that may wait for that.
    pub max_waiting: usize,
    /// Rights to enter rooms that are remembered.
    #[garde(range(min = 1))]
    pub max_rights: usize,
}

impl ProxyConfig {
    /// Checks what the proxy needs beside its URL, and where that leads: to this machine, too, in
    /// `development`.
    pub(super) fn check(&self, development: bool, report: &mut Report) {
        let mut refuse = |key: &str, sentence: &str| {
            report.append(Path::new("proxy").join(key), Error::new(sentence));
        };
        let Some(url) = &self.url else {
            let needs_it = "is answered by a backend: set PROXY_URL";
            if !self.events.is_empty() {
                refuse("events", needs_it);
            }
            if self.rooms {
                refuse("rooms", needs_it);
            }
            return;
        };
        if self.secret.is_none() {
            let sentence = "PROXY_URL needs a secret that the backend knows, too: set PROXY_SECRET";
            refuse("secret", sentence);
        }
        if let Err(sentence) = self.check_url(url, development) {
            refuse("url", sentence);
        }
    }

    fn check_url(&self, url: &str, development: bool) -> Result<(), &'static str> {
        let place = Place::read(url)?;
        let local = development && place.is_this_machine();
        // What a name leads to is looked at each time that it is looked up.
        let private = self.allow_http && place.may_be_in(Network::Private);
        if place.is_encrypted() || local || private {
            return Ok(());
        }
        Err("has to be https; http is for this machine in development, and for addresses of a \
             private network with proxy.allow_http=on")
    }

    /// What an operator should know.
    pub(super) fn warning(&self) -> Option<&'static str> {
        let idle = self.url.is_some() && self.events.is_empty() && !self.rooms;
        idle.then_some(
            "PROXY_URL is set, and nothing is asked of it: PROXY_EVENTS names no event, and \
             PROXY_ROOMS is off",
        )
    }
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

    fn on() -> Config {
        let mut config = Config::for_tests();
        config.proxy.url = Some("https://app.example.com/stoa?a=b".to_owned());
        config.proxy.secret = Some("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into());
        config.proxy.events = vec!["*".to_owned()];
        config
    }

    #[test]
    fn a_proxy_needs_its_url_and_its_secret() {
        type Spoil = fn(&mut Config);
        assert!(on().validate().is_ok());
        let cases: [(&[&str], Spoil); 6] = [
            (&["proxy.secret"], |c| c.proxy.secret = None),
            (&["proxy.secret"], |c| c.proxy.secret = Some("whsec_c2hvcnQ=".into())),
            (&["proxy.events"], |c| c.proxy.url = None),
            (&["proxy.events", "proxy.rooms"], |c| (c.proxy.url, c.proxy.rooms) = (None, true)),
            (&["proxy.events"], |c| c.proxy.events.push("disconnect".to_owned())),
            (&["proxy.timeout"], |c| c.proxy.timeout = Duration::ZERO),
        ];
        for (expected, spoil) in cases {
            let mut config = on();
            spoil(&mut config);
            let report = config.validate().unwrap_err();
            let keys: Vec<_> = report.iter().map(|(path, _)| path.to_string()).collect();
            assert_eq!(keys, expected);
        }
    }

    #[test]
    fn a_url_is_https_or_near() {
        let [production, development] = [false, true];
        for (url, environment, allowed, expected) in [
            ("https://app.example.com", production, false, true),
            ("https://app.example.com:8443/a/b?c=d", production, false, true),
            ("https://me:secret@app.example.com", production, true, false),
            ("https://app.example.com/#a", production, true, false),
            ("ftp://app.example.com", production, true, false),
            ("unix:/run/app.sock", production, true, false),
            ("app.example.com", production, true, false),
            ("http://app.example.com", development, false, false),
            ("http://localhost:4000", development, false, true),
            ("http://127.0.0.1:4000", development, false, true),
            ("http://[::1]:4000", development, false, true),
            ("http://127.0.0.1:4000", production, false, false),
            ("http://127.0.0.1:4000", production, true, true),
            ("http://10.1.2.3", development, false, false),
            ("http://10.1.2.3", production, true, true),
            ("http://[fd00::1]", production, true, true),
            ("http://8.8.8.8", production, true, false),
            ("http://169.254.169.254", production, true, false),
            ("http://[::ffff:8.8.8.8]", production, true, false),
            ("http://backend:4000", production, true, true),
        ] {
            let mut proxy = on().proxy;
            (proxy.url, proxy.allow_http) = (Some(url.to_owned()), allowed);
            let mut report = Report::new();
            proxy.check(environment, &mut report);
            assert_eq!(report.is_empty(), expected, "{url} {environment} {allowed}: {report}");
        }
    }

    #[test]
    fn a_backend_of_which_nothing_is_asked_is_warned_of() {
        let mut config = on();
        assert!(config.warnings().is_empty(), "{:?}", config.warnings());
        config.proxy.events.clear();
        assert!(config.warnings()[0].starts_with("PROXY_URL is set"), "{:?}", config.warnings());
    }
}
