//! How this node does, every two seconds: what was counted in each of them.

use std::time::Duration;

use super::documents::{Counted, NamespaceSize, ServerStats};
use crate::{
    clock::{Clock, Timestamp},
    event::Namespace,
    realtime::{Traffic, Watch},
};

/// How often what was counted is put down.
pub(super) const EVERY: Duration = Duration::from_secs(1);

/// Where Linux tells the machine's name.
const HOSTNAME: &str = "/proc/sys/kernel/hostname";

/// This node, as it is named in its figures.
pub(super) struct Node {
    name: String,
    hostname: String,
    pid: u32,
    started: Timestamp,
    clock: Clock,
}

impl Node {
    /// One that starts now, and may have a name.
    pub(super) fn new(name: Option<&str>, clock: Clock) -> Self {
        let hostname = std::fs::read_to_string(HOSTNAME).map(|name| name.trim().to_owned());
        let hostname = hostname.ok().filter(|name| !name.is_empty());
        let hostname = hostname.unwrap_or_else(|| "stoa".to_owned());
        let pid = std::process::id();
        Self {
            // Several nodes may be on one machine.
            name: name.map_or_else(|| format!("{hostname}#{pid}"), str::to_owned),
            hostname,
            pid,
            started: clock.now(),
            clock,
        }
    }

    /// Its figures, with what was counted since the last ones.
    pub(super) fn stats(&self, watch: &Watch, counted: Vec<Counted>) -> ServerStats {
        let counts = watch.counts();
        let size = |namespace: Namespace| NamespaceSize {
            name: namespace.path(),
            sockets_count: watch.sockets(namespace),
        };
        ServerStats {
            server_id: self.name.clone(),
            hostname: self.hostname.clone(),
            pid: self.pid,
            uptime: self.started.until(self.clock.now()).as_secs_f64(),
            clients_count: counts.clients,
            polling_clients_count: counts.polling,
            aggregated_events: counted,
            namespaces: Namespace::EVERY.into_iter().map(size).collect(),
        }
    }

    /// What was counted in the second that ends now.
    pub(super) fn second(&self, watch: &Watch) -> Vec<Counted> {
        let timestamp = self.clock.now().seconds() * 1000;
        let counted = Traffic::ALL.into_iter().zip(watch.traffic());
        let counted = counted.filter(|(_, count)| *count > 0);
        counted.map(|(kind, count)| Counted { timestamp, kind: name(kind), count }).collect()
    }
}

const fn name(kind: Traffic) -> &'static str {
    match kind {
        Traffic::Begun => "rawConnection",
        Traffic::Ended => "rawDisconnection",
        Traffic::PacketsIn => "packetsIn",
        Traffic::PacketsOut => "packetsOut",
        Traffic::BytesIn => "bytesIn",
        Traffic::BytesOut => "bytesOut",
    }
}
