//! `stoa observe`: a look before the move. It stands before the server that runs today, passes
//! everything through unchanged (docs/observe.md), and tells what this server would do otherwise.

mod passage;
mod upstream;

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

pub use upstream::{InvalidUpstream, Upstream};

use crate::log_limit;

/// How long to wait when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Stands before a server, from its start until it is dropped.
pub struct Observer {
    address: SocketAddr,
    accepting: JoinSet<()>,
}

impl Observer {
    /// Begins to pass connections through.
    ///
    /// # Errors
    /// When the address can't be listened on.
    pub async fn start(listen: SocketAddr, upstream: Upstream) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, upstream));
        Ok(Self { address, accepting })
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it: the connections that are open are cut.
    pub async fn stop(mut self) {
        self.accepting.shutdown().await;
    }
}

/// Takes connections for ever; whoever drops this cuts them.
async fn accept(listener: TcpListener, upstream: Upstream) {
    let mut passages = JoinSet::new();
    loop {
        // Those that have ended are let go of.
        while passages.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((client, _)) => {
                passages.spawn(pass(client, upstream.clone()));
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

async fn pass(client: TcpStream, upstream: Upstream) {
    let _ = client.set_nodelay(true);
    if let Err(error) = passage::carry(client, &upstream).await
        && let Some(left_out) = log_limit::admit("upstream", None, &error.to_string())
    {
        tracing::warn!(%error, left_out, "{} can't be reached", upstream.url());
    }
}
