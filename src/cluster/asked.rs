//! Questions that wait for the answers of other nodes, and how both are written.

use std::{
    collections::{HashMap, HashSet},
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::envelope::VERSION;

/// A question, by its number at who asks.
#[derive(Serialize, Deserialize)]
pub(super) struct Ask {
    v: u32,
    pub(super) n: String,
    pub(super) id: u64,
    pub(super) q: Box<RawValue>,
}

/// An answer to it.
#[derive(Serialize, Deserialize)]
pub(super) struct Reply {
    v: u32,
    pub(super) n: String,
    id: u64,
    a: Box<RawValue>,
}

impl Ask {
    pub(super) fn new(node: &str, id: u64, q: Box<RawValue>) -> Self {
        Self { v: VERSION, n: node.to_owned(), id, q }
    }

    pub(super) fn reply(&self, node: &str, a: Box<RawValue>) -> Reply {
        Reply { v: VERSION, n: node.to_owned(), id: self.id, a }
    }
}

/// Questions that wait for answers.
#[derive(Default)]
pub(super) struct Asked {
    last: AtomicU64,
    waiting: Mutex<HashMap<u64, Waiting>>,
}

pub(super) struct Waiting {
    /// Who has not answered yet.
    pub(super) silent: HashSet<String>,
    pub(super) answers: Vec<Box<RawValue>>,
    /// Told when all have; not at all before.
    all: Option<oneshot::Sender<()>>,
}

impl Asked {
    /// A question to these; its number, and what is told once all have answered.
    pub(super) fn begin(&self, nodes: HashSet<String>) -> (u64, oneshot::Receiver<()>) {
        let id = self.last.fetch_add(1, Ordering::Relaxed);
        let (all, answered) = oneshot::channel();
        let waiting = Waiting { silent: nodes, answers: Vec::new(), all: Some(all) };
        self.waiting.lock().insert(id, waiting);
        (id, answered)
    }

    /// Takes an answer. One that comes too late or twice is nothing.
    pub(super) fn take(&self, reply: Reply) {
        let mut waiting = self.waiting.lock();
        let Some(asked) = waiting.get_mut(&reply.id) else { return };
        if asked.silent.remove(&reply.n) {
            asked.answers.push(reply.a);
        }
        if asked.silent.is_empty()
            && let Some(all) = asked.all.take()
        {
            // Who asked may have gone.
            let _ = all.send(());
        }
    }
}

impl Asked {
    /// What has come of a question, which is over.
    pub(super) fn end(&self, id: u64) -> Option<Waiting> {
        self.waiting.lock().remove(&id)
    }
}

/// A question that nobody waits for any more is forgotten, whoever has answered.
pub(super) struct Forget<'a>(pub(super) &'a Asked, pub(super) u64);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.end(self.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(n: &str, id: u64, a: &str) -> Reply {
        let a = RawValue::from_string(a.to_owned()).unwrap();
        Reply { v: VERSION, n: n.to_owned(), id, a }
    }

    #[test]
    fn each_node_answers_once_and_nobody_else_does() {
        let asked = Asked::default();
        let (id, mut all) = asked.begin(["a", "b"].map(str::to_owned).into());
        for (node, id) in [("a", id), ("a", id), ("c", id), ("b", id + 1)] {
            asked.take(reply(node, id, "1"));
            assert!(all.try_recv().is_err(), "{node}");
        }
        asked.take(reply("b", id, "2"));
        assert!(all.try_recv().is_ok());
        drop(Forget(&asked, id));
        asked.take(reply("b", id, "3"));
        assert!(asked.waiting.lock().is_empty());
    }
}
