//! What backends alone are told of a user, by their webhooks: that they came, went, or are erased
//! (docs/contract/rest.md#webhooks). Kept as an event of a stream of its own, which no socket hears.

use serde_json::{json, value::to_raw_value};

use crate::{
    clock::Timestamp,
    event::EventName,
    id::Id,
    stream::{DomainEvent, Stream, WireEvent},
};

/// Something of a user.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The user.
    pub user: Id,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// `user.online`: their first connection opened.
    Online,
    /// `user.offline`: their last connection ended then, and none came back in time.
    Offline(Timestamp),
    /// `user.erased`: nothing is kept of them any more but what needs to be.
    Erased,
}

impl What {
    /// What it is told as.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Online => "user.online",
            Self::Offline(_) => "user.offline",
            Self::Erased => "user.erased",
        }
    }
}

impl DomainEvent for Notice {
    fn streams(&self) -> Vec<Stream> {
        vec![Stream::About(self.user.clone())]
    }

    fn render(&self, _seq: i64) -> Vec<WireEvent> {
        let data = match self.what {
            What::Online | What::Erased => json!({ "userId": self.user }),
            What::Offline(last_seen) => json!({ "userId": self.user, "lastSeen": last_seen }),
        };
        let (Ok(event), Ok(data)) = (EventName::new(self.what.name()), to_raw_value(&data)) else {
            return Vec::new();
        };
        vec![WireEvent::to_nobody(event, data)]
    }
}
