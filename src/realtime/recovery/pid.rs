//! What a session is known by: to its client by a secret id, to the store by a hash of that.

use std::num::NonZeroU32;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// The secret id of a session, which its client shows when it comes back. It is not logged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::realtime) struct Pid([u8; 16]);

/// What the store knows a session by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key(pub(super) [u8; 16]);

/// A session as its connection knows it. Whoever takes it is of the next generation.
#[derive(Clone, Copy)]
pub(in crate::realtime) struct Session {
    pub(in crate::realtime) pid: Pid,
    pub(in crate::realtime) generation: NonZeroU32,
}

impl Session {
    /// A new one.
    pub(in crate::realtime) fn new() -> Self {
        Self { pid: Pid(rand::random()), generation: NonZeroU32::MIN }
    }
}

impl Pid {
    /// As a client shows it.
    pub(in crate::realtime) fn read(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        (length == bytes.len()).then_some(Self(bytes))
    }

    /// As a client is told it.
    pub(in crate::realtime) fn text(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// So that who reads the store can take nobody's session.
    pub(super) fn key(self) -> Key {
        let mut key = [0; 16];
        key.copy_from_slice(&Sha256::digest(self.0)[..16]);
        Key(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_reads_back_and_is_not_what_the_store_has() {
        let pid = Session::new().pid;
        assert!(Pid::read(&pid.text()) == Some(pid));
        assert_eq!(pid.text().len(), 22);
        assert!(pid.key().0 != pid.0);
        for bad in ["", "short", &"x".repeat(23), "59gpW0_jXUJ4pYBGAAA=", "59gpW0/jXUJ4pYBGAAAAAA"]
        {
            assert!(Pid::read(bad).is_none(), "{bad}");
        }
    }
}
