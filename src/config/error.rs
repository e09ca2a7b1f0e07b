//! Why there is no configuration to start with, said so that one knows where to look.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// Why there is no configuration to start with. Each is one sentence that names the place.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file could not be read or written.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        cause: io::Error,
    },
    /// A file is not written as it has to be. Its text is not shown: it may hold a secret.
    #[error("{}: {detail}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        detail: String,
    },
    /// Two variables set the same key.
    #[error("{first} and {second} both set {key}; keep one of them")]
    Twice {
        /// The key of both.
        key: String,
        /// One variable's name.
        first: String,
        /// The other's.
        second: String,
    },
    /// Values that cannot be used.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Values(Vec<BadValue>),
}

/// A value that cannot be used.
#[derive(Debug)]
pub struct BadValue {
    /// The key, as in `config/default.toml`.
    pub key: String,
    /// The variable, flag or file that set it; none for a default.
    pub origin: Option<String>,
    /// What is wrong with it.
    pub detail: String,
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{} (from {origin}): {}", self.key, self.detail),
            None => write!(f, "{}: {}", self.key, self.detail),
        }
    }
}

impl ConfigError {
    pub(super) fn file(path: &Path, cause: io::Error) -> Self {
        Self::File { path: path.to_owned(), cause }
    }

    pub(super) fn content(path: &Path, detail: impl Into<String>) -> Self {
        Self::Content { path: path.to_owned(), detail: detail.into() }
    }
}
