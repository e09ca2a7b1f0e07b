//! What channels and keys are called, and this node on them.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::id::Ids;

/// Characters of a node's name.
const NODE_CHARS: usize = 12;

/// The names of one server's channels and keys.
pub(super) struct Names {
    prefix: String,
    /// How often this node began to say who is here.
    begun: AtomicU32,
    /// This node, from its start to its end.
    pub(super) node: String,
}

/// What a message is, by the channel on which it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Wake,
    Soft,
    Presence,
    Ask,
    Reply,
    Probe,
    Mark,
}

impl Kind {
    pub(super) const ALL: [Self; 7] =
        [Self::Wake, Self::Soft, Self::Presence, Self::Ask, Self::Reply, Self::Probe, Self::Mark];

    /// As metrics name it.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Wake => "wake",
            Self::Soft => "soft",
            Self::Presence => "presence",
            Self::Ask => "ask",
            Self::Reply => "reply",
            Self::Probe => "probe",
            Self::Mark => "mark",
        }
    }
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        // The part of an id that chance gives.
        let id = Ids.next().simple().to_string();
        let node = id[id.len() - NODE_CHARS..].to_owned();
        Self { prefix: prefix.to_owned(), begun: AtomicU32::new(0), node }
    }

    /// The channel of all nodes, or of this one.
    pub(super) fn channel(&self, kind: Kind) -> String {
        match kind {
            Kind::Reply | Kind::Probe => self.channel_of(kind, &self.node),
            _ => format!("{}:{}", self.prefix, kind.label()),
        }
    }

    /// The channel of another node.
    pub(super) fn channel_of(&self, kind: Kind, node: &str) -> String {
        format!("{}:{}:{node}", self.prefix, kind.label())
    }

    /// A key: all of them are in one slot.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}:{{p}}:{name}", self.prefix)
    }

    /// What this node is called where it says who is here.
    pub(super) fn incarnation(&self) -> String {
        self.called(self.begun.load(Ordering::Relaxed))
    }

    /// It is called otherwise from now on; what it was called.
    pub(super) fn begin_anew(&self) -> String {
        let before = self.begun.fetch_add(1, Ordering::Relaxed);
        self.called(before)
    }

    fn called(&self, begun: u32) -> String {
        format!("{}.{begun}", self.node)
    }

    /// What comes on a channel.
    pub(super) fn kind(&self, channel: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| self.channel(*kind) == channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_has_a_name_and_a_channel_of_its_own() {
        let (one, other) = (Names::new("stoa"), Names::new("stoa"));
        assert_eq!(one.node.len(), NODE_CHARS);
        assert_ne!(one.node, other.node);
        assert_eq!(one.channel(Kind::Soft), other.channel(Kind::Soft));
        let probe = one.channel(Kind::Probe);
        assert_eq!((one.kind(&probe), other.kind(&probe)), (Some(Kind::Probe), None));
        assert_eq!(Names::new("shop").kind("stoa:wake"), None);
    }
}
