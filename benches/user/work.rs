//! What the user's tasks do it with, and what they count.

use std::{collections::BTreeMap, fmt, net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::Instant;

/// What every task needs.
#[derive(Clone)]
pub struct Work {
    pub address: SocketAddr,
    pub token: Arc<str>,
    pub conversation: Arc<str>,
    pub content: Arc<str>,
    pub message: Arc<Value>,
    pub end: Instant,
    pub tally: Tally,
}

/// What was done, and how often.
#[derive(Clone, Default)]
pub struct Tally(Arc<Mutex<BTreeMap<String, u64>>>);

impl Tally {
    /// Counts something.
    pub fn note(&self, what: &str) {
        let mut counts = self.0.lock();
        *counts.entry(what.to_owned()).or_default() += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "what one user did:")?;
        let counts = self.0.lock();
        counts.iter().try_for_each(|(what, count)| writeln!(f, "  {what:<48} {count}"))
    }
}
