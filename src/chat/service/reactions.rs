//! How much people may react.

use crate::{
    chat::store::ReactionCounts,
    error::{Code, Error, Result},
};

/// How many reactions a message takes.
#[derive(Clone, Copy)]
pub(super) struct ReactionLimits {
    /// Of one user.
    pub(super) per_user: u32,
    /// Different ones.
    pub(super) kinds: u32,
}

impl ReactionLimits {
    pub(super) fn check(self, counts: ReactionCounts) -> Result<()> {
        let sentence = if counts.own > self.per_user.into() {
            "You have given this message as many reactions as one may."
        } else if counts.kinds > self.kinds.into() {
            "This message has as many different reactions as one may have."
        } else {
            return Ok(());
        };
        Err(Error::new(Code::Conflict, sentence))
    }
}
