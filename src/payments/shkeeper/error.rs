//! Why SHKeeper did not do what it was asked, told apart by what is known of the money.

use std::borrow::Cow;

/// Why a call failed, by whether it may have been done all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// It was surely not done: SHKeeper said no, or the call was not one that it can be asked.
    #[error("SHKeeper refused: {0}")]
    Refused(String),
    /// It may have been done: no answer came, or one that says neither.
    #[error("SHKeeper may have done it or not: {0}")]
    Unclear(String),
    /// It was surely not done: the call never left this machine.
    #[error("SHKeeper is out of reach: {0}")]
    Unreachable(String),
}

/// A setting that no SHKeeper can be spoken to with.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct SetupError {
    setting: &'static str,
    problem: Cow<'static, str>,
}

impl SetupError {
    pub(super) fn new(setting: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self { setting, problem: problem.into() }
    }
}
