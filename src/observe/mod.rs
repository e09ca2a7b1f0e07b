//! `stoa observe`: a look before the move. It stands before the server that runs today, passes
//! everything through unchanged, reads a copy of what is said, and tells what this server would do
//! otherwise (docs/observe.md).
//!
//! `passage` carries bytes and gives a copy of them to `copies`; `reader` takes those apart, into
//! requests (`exchange`), frames (`websocket`), packets (`packet`) and what a `session` says, with the
//! verdict on its `tokens` and how its payloads differ (`shapes`); `tally` counts, `advice` concludes,
//! `report` tells.

mod advice;
mod copies;
mod exchange;
mod names;
mod packet;
mod passage;
mod reader;
mod report;
mod session;
mod shapes;
mod tally;
mod tokens;
mod upstream;
mod websocket;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use parking_lot::Mutex;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Handle,
    task::{JoinHandle, spawn_blocking},
};

use advice::Advice;
use copies::{Copier, Copies, copies};
use reader::Reading;
use session::Contract;
use shapes::Shapes;
use tally::Tally;
use tokens::Keys;

pub use advice::ToDo;
pub use report::Report;
pub use upstream::{InvalidUpstream, Upstream};

use crate::{
    auth::Verifier,
    clock::{Clock, Timestamp},
    config::Config,
    event::EventPatterns,
    log_limit,
    realtime::catalogue::Catalogue,
    tasks::Tasks,
};

/// How long to wait when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Stands before a server, from its start until it is dropped.
pub struct Observer {
    address: SocketAddr,
    upstream: Upstream,
    from: Timestamp,
    clock: Clock,
    advice: Advice,
    tally: Arc<Mutex<Tally>>,
    tasks: Tasks,
    reading: JoinHandle<()>,
}

impl Observer {
    /// Begins to pass connections through. `config` is what this server would go by after the move, and
    /// `catalogue` what it says and hears.
    ///
    /// # Errors
    /// When the address can't be listened on, or a key can't be used.
    pub async fn start(
        listen: SocketAddr,
        upstream: Upstream,
        config: &Config,
        catalogue: Catalogue,
    ) -> anyhow::Result<Self> {
        let clock = Clock::system();
        let verifier = config.auth.has_key().then(|| Verifier::new(&config.auth, clock.clone()));
        let keys = Keys::new(verifier.transpose()?, &config.auth, Handle::current());
        let proxied = EventPatterns::new(&config.proxy.events)?;
        let contract = Contract { shapes: Shapes::new(&catalogue), catalogue, keys, proxied };
        let reading = Reading::new(contract, config.origin_policy()?);
        let listener =
            TcpListener::bind(listen).await.with_context(|| format!("listening on {listen}"))?;
        let address = listener.local_addr()?;
        let tally = Arc::<Mutex<Tally>>::default();
        let (copies, taken) = copies();
        let counted = tally.clone();
        let reading = spawn_blocking(move || reading.run(taken, &counted));
        let tasks = Tasks::default();
        let accepting = accept(listener, upstream.clone(), copies, tasks.clone());
        tasks.spawn_until_stopped("observed listener", accepting);
        let (from, advice) = (clock.now(), Advice::new(config));
        Ok(Self { address, upstream, from, clock, advice, tally, tasks, reading })
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was observed by now.
    #[must_use]
    pub fn report(&self) -> Report {
        let tally = self.tally.lock().clone();
        let time = (self.from, self.clock.now());
        Report::new(self.upstream.url(), time, &tally, &self.advice)
    }

    /// Ends it: the connections that are open are cut, and what they had said by then is read.
    pub async fn stop(mut self) -> Report {
        self.tasks.stop();
        self.tasks.stopped().await;
        // A reader that failed has counted what it read.
        let _ = (&mut self.reading).await;
        self.report()
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

/// Takes connections, each a task of its own, until all of them are stopped.
async fn accept(listener: TcpListener, upstream: Upstream, copies: Copies, tasks: Tasks) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                let passage = pass(client, upstream.clone(), copies.of_connection());
                tasks.spawn_until_stopped("observed connection", passage);
            }
            Err(error) => {
                if let Some(left_out) = log_limit::admit("accept", None, &error.to_string()) {
                    tracing::warn!(%error, left_out, "a connection could not be accepted");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn pass(client: TcpStream, upstream: Upstream, copier: Copier) {
    // A connection that refuses it has just closed.
    let _ = client.set_nodelay(true);
    if let Err(error) = passage::carry(client, &upstream, copier).await
        && let Some(left_out) = log_limit::admit("upstream", None, &error.to_string())
    {
        tracing::warn!(%error, left_out, "{} can't be reached", upstream.url());
    }
}
