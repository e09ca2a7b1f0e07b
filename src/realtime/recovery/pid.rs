//! What a session is known by: to its client by a secret id, to the store by a hash of that.

use std::num::NonZeroU32;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::{clock::Timestamp, db::Value};

/// How much of a pid tells when it was made: those that are made together are kept together.
const WHEN: usize = 4;

/// The secret id of a session, which its client shows when it comes back. It is not logged. After when it
/// was made it is random.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::realtime) struct Pid([u8; 16]);

/// What the store knows a session by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(pub(super) [u8; 16]);

/// A session as its connection knows it. Whoever takes it is of the next generation.
#[derive(Clone, Copy)]
pub(in crate::realtime) struct Session {
    pub(in crate::realtime) pid: Pid,
    pub(in crate::realtime) generation: NonZeroU32,
}

impl From<Key> for Value {
    fn from(Key(key): Key) -> Self {
        Self::Blob(key.to_vec())
    }
}

impl Session {
    /// A new one.
    pub(in crate::realtime) fn new(now: Timestamp) -> Self {
        let mut pid: [u8; 16] = rand::random();
        // Of 16 ms each; that it begins anew every two years does no harm.
        let when = (now.millis() / 16).to_be_bytes();
        pid[..WHEN].copy_from_slice(&when[when.len() - WHEN..]);
        Self { pid: Pid(pid), generation: NonZeroU32::MIN }
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
        let (mut key, hash) = (self.0, Sha256::digest(self.0));
        key.iter_mut().zip(hash).skip(WHEN).for_each(|(byte, hashed)| *byte = hashed);
        Key(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_reads_back_and_the_store_has_another_in_its_order() {
        let now = Timestamp::from_millis(1_764_000_000_000);
        let pid = Session::new(now).pid;
        assert!(Pid::read(&pid.text()) == Some(pid));
        assert_eq!(pid.text().len(), 22);
        assert!(pid.key().0[WHEN..] != pid.0[WHEN..]);
        assert!(Session::new(now).pid.key() != pid.key());
        let later = Session::new(Timestamp::from_millis(now.millis() + 16)).pid;
        assert!(later.key().0 > pid.key().0, "what comes later is kept behind it");
        for bad in ["", "short", &"x".repeat(23), "59gpW0_jXUJ4pYBGAAA=", "59gpW0/jXUJ4pYBGAAAAAA"]
        {
            assert!(Pid::read(bad).is_none(), "{bad}");
        }
    }
}
