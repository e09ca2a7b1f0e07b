//! The other nodes, as the rooms speak to them.

use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};

use super::{
    connection::{self, Hearer},
    emitters::{Emitters, Taken},
    names::Names,
    server::{self, Unusable},
    shared::{Shared, State},
};
use crate::{
    clock::Clock,
    config::{BridgeConfig, ClusterConfig},
    tasks::Tasks,
};

/// The other nodes. Cheap to clone.
#[derive(Clone)]
pub struct Cluster(Arc<Shared>);

impl Cluster {
    /// As configured; none where this node is alone. Nothing is connected yet.
    ///
    /// # Errors
    /// When the URL, or the file of who is trusted, can't be used.
    pub fn configured(config: &ClusterConfig, clock: &Clock) -> Result<Option<Self>, Unusable> {
        let Some(client) = server::client(config)? else { return Ok(None) };
        let shared = Shared::new(Names::new(&config.prefix), client, clock.clone());
        Ok(Some(Self(Arc::new(shared))))
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.0
    }

    /// Has emitters heard, too: what this node takes of it comes here, in the order in which it was
    /// published. Before [`Cluster::begin`], and once.
    #[must_use]
    pub fn hear_emitters(&self, config: &BridgeConfig) -> mpsc::Receiver<Taken> {
        let (emitters, taken) = Emitters::configured(config);
        // The first ones stay.
        let _ = self.0.emitters.set(emitters);
        taken
    }

    /// Begins to connect, and goes on with it. Redis need not be there.
    pub fn begin(&self, hearer: Arc<dyn Hearer>, tasks: &Tasks) {
        let keep = connection::keep(self.0.clone(), hearer, tasks.clone());
        tasks.spawn_until_stopped("redis", keep);
    }

    /// Sends something to all other nodes, which may not hear it.
    pub fn send(&self, item: Box<RawValue>) {
        self.0.queue.push(item);
    }

    /// Has the other nodes look for what this one has committed.
    pub fn wake_others(&self) {
        self.0.committed.notify_one();
    }

    /// Whether the others are heard.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<State> {
        self.0.state()
    }
}
