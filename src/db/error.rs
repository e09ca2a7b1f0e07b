//! What can go wrong in the store, in kinds that both engines tell apart.

use std::{fmt, sync::Arc, time::Duration};

use crate::error::{self, Code};

/// When a caller may try again while the store is away.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// `Result` with the store's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a statement or a commit failed. Cheap to clone: a failed commit is told to every unit in it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{kind}: {cause}")]
pub struct Error {
    kind: Kind,
    cause: Arc<str>,
}

/// The kinds of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Such a row is there already.
    Unique,
    /// A row refers to one that is not there.
    ForeignKey,
    /// A value that the table refuses.
    Check,
    /// A text with U+0000 in it, which Postgres does not store; SQLite would.
    Nul,
    /// The store can't be reached, is closing, or has more to do than it takes on.
    Unavailable,
    /// The disk is full.
    Full,
    /// More than one unit of work may keep.
    TooLarge,
    /// It took too long.
    Timeout,
    /// Others held what it needs for too long, or too many want it.
    Busy,
    /// A store that is not there, or is of another version, where one is needed as it is.
    Unfit,
    /// Anything else: a mistake of ours.
    Other,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unique => "not unique",
            Self::ForeignKey => "refers to nothing",
            Self::Check => "refused by a check",
            Self::Nul => "a text with U+0000",
            Self::Unavailable => "the store is unavailable",
            Self::Full => "the disk is full",
            Self::TooLarge => "too much at once",
            Self::Timeout => "the store took too long",
            Self::Busy => "the store is busy",
            Self::Unfit => "the store is not ready",
            Self::Other => "the store failed",
        })
    }
}

impl Kind {
    /// The word by which it is counted where the store has failed; none where it did what it is to do.
    pub(super) const fn failure(self) -> Option<&'static str> {
        match self {
            Self::Unique | Self::ForeignKey | Self::Check | Self::Nul => None,
            Self::Unavailable => Some("unavailable"),
            Self::Full => Some("full"),
            Self::TooLarge => Some("too_large"),
            Self::Timeout => Some("timeout"),
            Self::Busy => Some("busy"),
            Self::Unfit | Self::Other => Some("other"),
        }
    }
}

impl Error {
    /// What it was that the store told the caller of a unit.
    pub(super) fn cause_of(error: error::Error) -> Self {
        let cause = std::error::Error::source(&error);
        let cause = cause.and_then(|cause| cause.downcast_ref::<Self>());
        cause.cloned().unwrap_or_else(|| Self::new(Kind::Other, error))
    }

    pub(super) fn new(kind: Kind, cause: impl fmt::Display) -> Self {
        Self { kind, cause: cause.to_string().into() }
    }

    /// The same, with the statement that it happened in: its text, which has no values in it.
    pub(super) fn in_statement(&self, sql: &str) -> Self {
        let sql = sql.split_whitespace().collect::<Vec<_>>().join(" ");
        Self::new(self.kind, format_args!("{}, in: {sql}", self.cause))
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether a row of that key is there already.
    #[must_use]
    pub fn is_unique(&self) -> bool {
        self.kind == Kind::Unique
    }

    /// Whether the store itself is to blame, and another try later may succeed.
    pub(super) fn is_outage(&self) -> bool {
        matches!(self.kind, Kind::Unavailable | Kind::Full)
    }
}

/// An outage is told as one; the rest is [`Code::Internal`] where a store does not map it.
impl From<Error> for error::Error {
    fn from(error: Error) -> Self {
        match error.kind {
            Kind::Unavailable | Kind::Full | Kind::Timeout | Kind::Busy => {
                Self::new(Code::Unavailable, "The store is not available; try again.")
                    .with_retry_after(RETRY_AFTER)
                    .with_cause(error)
            }
            Kind::Nul => {
                Self::new(Code::InvalidPayload, "A text may not have the character U+0000 in it.")
            }
            Kind::TooLarge => {
                Self::new(Code::TooLarge, "This is too much to be kept at once; ask for less.")
            }
            Kind::Unique | Kind::ForeignKey | Kind::Check | Kind::Unfit | Kind::Other => {
                Self::internal(error)
            }
        }
    }
}
