//! A packet whose attachments are still to come (Socket.IO protocol v5, "Binary events").

use crate::{
    event::Namespace,
    realtime::packet::{Kind, Malformed},
};

/// Attachments of one packet; no event of ours takes any.
pub(in crate::realtime) const MAX_ATTACHMENTS: usize = 10;

/// A packet whose attachments are still to come.
pub(super) struct Incomplete {
    pub(super) namespace: Namespace,
    /// The event's name and arguments, and the id of its callback; none for an answer.
    pub(super) event: Option<(Box<str>, Option<i64>)>,
    left: usize,
    bytes: usize,
}

impl Incomplete {
    pub(super) fn new(
        namespace: Namespace,
        kind: &Kind<'_>,
        attachments: usize,
    ) -> Result<Box<Self>, Malformed> {
        if attachments > MAX_ATTACHMENTS {
            return Err(Malformed);
        }
        let event = match *kind {
            Kind::Event { arguments, ack, .. } => Some((arguments.into(), ack)),
            _ => None,
        };
        Ok(Box::new(Self { namespace, event, left: attachments, bytes: 0 }))
    }

    /// One of them has come, of which nothing is kept; whether it was the last. All of them may have
    /// `most` bytes.
    pub(super) fn takes(&mut self, attachment: &[u8], most: usize) -> Result<bool, Malformed> {
        self.bytes += attachment.len();
        self.left -= 1;
        if self.bytes > most { Err(Malformed) } else { Ok(self.left == 0) }
    }
}
