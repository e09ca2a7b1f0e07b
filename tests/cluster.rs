//! Several servers on one Postgres, with Redis or without: what one commits the others hear of in the same
//! order, and what follows from it for sockets is done by whoever has them (docs/operating.md). Through Redis
//! what need not last reaches the sockets of all of them, and whatever happens to it, what is kept does.

mod asks;
mod bridge;
mod kinds;
mod operators;
mod outage;
mod presence;
mod rights;
mod sessions;
mod soft;
mod told;

use std::time::Duration;

use stoa::config::Config;

use crate::support::{TestApp, postgres::Postgres, redis::Redis};

/// What nodes have in common.
struct Common {
    redis: Redis,
    database: String,
}

impl Common {
    async fn new() -> Self {
        Self::with(Redis::start()).await
    }

    async fn with(redis: Redis) -> Self {
        Self { redis, database: Postgres::shared().database().await }
    }

    /// Has a node find them.
    fn set(&self, config: &mut Config) {
        config.database.url = Some(self.database.as_str().into());
        config.cluster.redis_url = Some(self.redis.url().into());
        config.presence.window = Duration::from_millis(1);
    }

    /// A node, whether or not Redis is there.
    async fn node(&self) -> TestApp {
        Box::pin(TestApp::with(|config| self.set(config))).await
    }

    /// Two nodes that hear each other.
    async fn two(&self) -> [TestApp; 2] {
        let nodes = [self.node().await, self.node().await];
        for node in &nodes {
            node.joined().await;
        }
        nodes
    }
}

/// Two servers on one database, without Redis.
async fn two_nodes(change: impl Fn(&mut Config)) -> [TestApp; 2] {
    let url = Postgres::shared().database().await;
    let node = async || {
        TestApp::with(|config| {
            config.database.url = Some(url.clone().into());
            change(config);
        })
        .await
    };
    [node().await, node().await]
}
