//! What was looked at, how it is, and what to do about it.

use std::fmt;

use serde::Serialize;

use crate::cli::output::one_line;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// To be known, and nothing wrong.
    Note,
    /// It works, and not well, or not for long.
    Warning,
    /// It does not work, or is not safe.
    Problem,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Check {
    Config,
    Limits,
    Clock,
    Disk,
    Port,
    Url,
    Proxies,
    Keys,
    Store,
    Redis,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) check: Check,
    pub(super) level: Level,
    /// How it is.
    pub(super) found: String,
    /// What to do; none where all is well.
    pub(super) advice: Option<String>,
}

/// What is found may have the words of others, over several lines.
fn sentence(said: impl Into<String>) -> String {
    one_line(&said.into().split_whitespace().collect::<Vec<_>>().join(" "))
}

impl Check {
    pub(super) fn ok(self, found: impl Into<String>) -> Finding {
        let found = sentence(found);
        Finding { check: self, level: Level::Ok, found, advice: None }
    }

    pub(super) fn note(self, found: impl Into<String>, advice: impl Into<String>) -> Finding {
        self.finding(Level::Note, found, advice)
    }

    pub(super) fn warning(self, found: impl Into<String>, advice: impl Into<String>) -> Finding {
        self.finding(Level::Warning, found, advice)
    }

    pub(super) fn problem(self, found: impl Into<String>, advice: impl Into<String>) -> Finding {
        self.finding(Level::Problem, found, advice)
    }

    pub(super) fn finding(
        self,
        level: Level,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Finding {
        let (found, advice) = (sentence(found), sentence(advice));
        Finding { check: self, level, found, advice: Some(advice) }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Limits => "limits",
            Self::Clock => "clock",
            Self::Disk => "disk",
            Self::Port => "port",
            Self::Url => "url",
            Self::Proxies => "proxies",
            Self::Keys => "keys",
            Self::Store => "store",
            Self::Redis => "redis",
        }
    }
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<7}  {:<7}  {}", self.level.name(), self.check.name(), self.found)?;
        match &self.advice {
            Some(advice) => write!(f, "\n                  -> {advice}"),
            None => Ok(()),
        }
    }
}

/// A number of bytes as people read it.
pub(super) fn size(bytes: u64) -> String {
    bytesize::ByteSize::b(bytes).display().iec().to_string()
}
