//! Servers on one Postgres and one Redis, each a process of its own.

use std::net::SocketAddr;

use anyhow::Result;

use super::{postgres::Postgres, redis::Redis, server::Server};

/// What they have in common, and themselves.
pub struct Cluster {
    pub redis: Redis,
    /// One that was killed is gone.
    nodes: Vec<Option<Server>>,
    _postgres: Postgres,
}

impl Cluster {
    /// So many servers.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn start(many: usize) -> Result<Self> {
        let (postgres, redis) = (Postgres::new(), Redis::start());
        let (database, at) = (postgres.database().await, redis.url());
        let settings = [
            ("DATABASE_URL", database.as_str()),
            ("REDIS_URL", &at),
            ("LIMITS", "off"),
            ("ROOM_POLICY", "open"),
            // Else each of thousands is told of each of them.
            ("PRESENCE_AUDIENCE", "contacts"),
        ];
        let node = |at| Server::start(&format!("nodes-{at}"), &settings).map(Some);
        let nodes = (0..many).map(node).collect::<Result<_>>()?;
        Ok(Self { redis, nodes, _postgres: postgres })
    }

    /// Where those are that live.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().flatten().map(Server::address).collect()
    }

    /// `kill -9` of the first one.
    pub fn kill_first(&mut self) {
        drop(self.nodes[0].take());
    }
}
