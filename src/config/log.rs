//! `[log]`: what is logged, and how it is written.
#![expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives its context by reference")]

use std::time::Duration;

use garde::{Error, Validate};
use serde::{Deserialize, Serialize};

use super::rules::require;

/// `[log]`
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[garde(allow_unvalidated)]
pub struct LogConfig {
    /// `LOG_LEVEL`: a tracing filter.
    #[garde(custom(log_filter))]
    pub level: String,
    /// `LOG_FORMAT`; unset takes `pretty` on a terminal, else `json`.
    pub format: Option<LogFormat>,
    /// From when on an answer that is no failure is told at info, too.
    #[serde(with = "humantime_serde")]
    pub slow_request: Duration,
    /// `STOA_NODE`: which of several nodes it is; unset makes a name where there may be others.
    #[garde(inner(custom(node_name)))]
    pub node: Option<String>,
}

/// `LOG_FORMAT`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For machines, one object a line.
    Json,
}

/// It stands between quotes in lines of JSON and in labels.
fn node_name(name: &str, (): &()) -> garde::Result {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    require(
        name.len() <= 64 && name.chars().all(is_plain),
        "a node's name has at most 64 letters, digits, `-`, `_` and `.`",
    )
}

fn log_filter(filter: &str, (): &()) -> garde::Result {
    // A word that is no level would be the name of a module, and everything else silent.
    let is_level = |word: &str| word.parse::<tracing_subscriber::filter::LevelFilter>().is_ok();
    let words = filter.split(',').map(str::trim).filter(|word| !word.is_empty());
    for word in words.filter(|word| !word.contains(['=', '['])) {
        require(
            is_level(word),
            &format!("`{word}` is none of error, warn, info, debug, trace, off"),
        )?;
    }
    let parsed = tracing_subscriber::EnvFilter::try_new(filter);
    parsed.map(drop).map_err(|error| Error::new(format!("`{filter}` is not a log filter: {error}")))
}
