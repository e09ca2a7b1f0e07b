//! `[bridge]`: other backends' emitters, which publish in Redis.
#![expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives its context by reference")]

use garde::{Error, Path, Report, Validate};
use serde::{Deserialize, Serialize};

use super::{cluster::ClusterConfig, rules::require};
use crate::event::{EventPatterns, Namespace};

/// `[bridge]`
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[garde(allow_unvalidated)]
pub struct BridgeConfig {
    /// Whether they are heard.
    pub enabled: bool,
    /// The `key` of `@socket.io/redis-emitter`; unset hears none of them.
    #[garde(inner(custom(plain)))]
    pub key: Option<String>,
    /// The `channel` of python-socketio's managers; unset hears none of them.
    #[garde(inner(custom(plain)))]
    pub channel: Option<String>,
    /// The namespaces to whose sockets they may send.
    #[garde(inner(custom(namespace)))]
    pub namespaces: Vec<String>,
    /// Patterns of the events that they may send.
    #[garde(custom(patterns))]
    pub events: Vec<String>,
    /// Whether they may have sockets join and leave rooms, and disconnect them.
    pub commands: bool,
}

impl BridgeConfig {
    /// Checks what the bridge needs beside its own settings.
    pub(super) fn check(&self, cluster: &ClusterConfig, report: &mut Report) {
        let mut refuse = |key: &str, sentence: &str| {
            report.append(Path::new("bridge").join(key), Error::new(sentence));
        };
        if !self.enabled {
            return;
        }
        if cluster.redis_url.is_none() {
            refuse("enabled", "emitters publish in Redis: set REDIS_URL");
        }
        if self.key.is_none() && self.channel.is_none() {
            refuse("enabled", "there is nothing to hear: set bridge.key or bridge.channel");
        }
        let is_own = |name: &String| name.starts_with(&format!("{}:", cluster.prefix));
        for (key, name) in [("key", &self.key), ("channel", &self.channel)] {
            if name.as_ref().is_some_and(is_own) {
                refuse(key, "it begins like the channels of these nodes (cluster.prefix)");
            }
        }
    }
}

fn plain(name: &str, (): &()) -> garde::Result {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
    require(
        (1..=64).contains(&name.len()) && name.chars().all(is_plain),
        "has to be 1–64 letters, digits and -_.:/ such as socket.io",
    )
}

fn namespace(path: &str, (): &()) -> garde::Result {
    require(Namespace::from_path(path).is_some(), "is none of /, /chat, /marketplace")
}

fn patterns(patterns: &[String], (): &()) -> garde::Result {
    EventPatterns::new(patterns).map_err(Error::new)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn what_can_not_be_bridged_is_refused_by_its_key() {
        type Spoil = fn(&mut Config);
        let on = || {
            let mut config = Config::for_tests();
            config.cluster.redis_url = Some("redis://localhost".into());
            config.bridge.enabled = true;
            config
        };
        assert!(on().validate().is_ok());
        let mut off = Config::for_tests();
        off.bridge.channel = Some("stoa:soft".to_owned());
        assert!(off.validate().is_ok());
        let cases: [(&str, Spoil); 8] = [
            ("bridge.enabled", |c| c.cluster.redis_url = None),
            ("bridge.enabled", |c| (c.bridge.key, c.bridge.channel) = (None, None)),
            ("bridge.key", |c| c.bridge.key = Some("socket*".to_owned())),
            ("bridge.key", |c| c.bridge.key = Some(String::new())),
            ("bridge.channel", |c| c.bridge.channel = Some("stoa:soft".to_owned())),
            ("bridge.channel", |c| c.bridge.channel = Some("a b".to_owned())),
            ("bridge.namespaces[1]", |c| {
                c.bridge.namespaces = vec!["/chat".to_owned(), "/admin".to_owned()];
            }),
            ("bridge.events", |c| c.bridge.events = vec!["disconnect".to_owned()]),
        ];
        for (key, spoil) in cases {
            let mut config = on();
            spoil(&mut config);
            let report = config.validate().unwrap_err();
            let keys: Vec<_> = report.iter().map(|(path, _)| path.to_string()).collect();
            assert_eq!(keys, [key]);
        }
    }
}
