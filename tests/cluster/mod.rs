//! Several servers on one Postgres: what one commits the others hear of in the same order, and what
//! follows from it for sockets is done by whoever has them (docs/operating.md).

mod rights;
mod sessions;

use stoa::config::Config;

use crate::support::{TestApp, postgres::Postgres};

/// Two servers on one database.
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
