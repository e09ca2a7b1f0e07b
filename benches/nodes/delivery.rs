//! How long it takes until an event of one server is heard on another, with Redis and while it is away.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use parking_lot::Mutex;
use serde_json::json;
use tokio::{
    task::JoinHandle,
    time::{Instant, interval, timeout},
};

use super::{
    backend::Backend,
    client::{Client, Session},
    cluster::Cluster,
    server::Server,
    table::Row,
};

const PAUSE: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(20);
const ROOM: &str = "conversation:delivery";

/// Kept events at most so long after they were posted, half of them and 99 of 100.
const HALF: Duration = Duration::from_millis(5);
const MOST: Duration = Duration::from_millis(25);
/// The same while Redis is away, all of them.
const WITHOUT_REDIS: Duration = Duration::from_millis(150);

/// When each event was heard.
type Heard = JoinHandle<Result<Vec<Instant>>>;

/// Measures both.
///
/// # Errors
/// When an event is lost.
pub async fn measure(cluster: &mut Cluster, events: usize) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    // What comes first has connections to make.
    run(cluster, "warm", 100, true).await?;
    let (own, other) = run(cluster, "kept", events, true).await?;
    rows.push(Row::told("own server, half", own.half()));
    rows.push(Row::told("own server, 99 of 100", own.most(99)));
    rows.push(Row::claimed("other server, half", other.half(), HALF));
    rows.push(Row::claimed("other server, 99 of 100", other.most(99), MOST));
    cluster.redis.stop();
    let (own, other) = run(cluster, "alone", events, true).await?;
    rows.push(Row::told("Redis away: own server, all", own.most(100)));
    rows.push(Row::told("Redis away: other server, half", other.half()));
    rows.push(Row::claimed("Redis away: other server, all", other.most(100), WITHOUT_REDIS));
    // All of them, or it fails.
    run(cluster, "volatile", events, false).await?;
    rows.push(Row::said("Redis away: volatile events heard on their own server", "100 %"));
    cluster.redis.resume();
    Ok(rows)
}

/// Sends events from the first server to a client of each.
async fn run(
    cluster: &Cluster,
    event: &str,
    events: usize,
    is_kept: bool,
) -> Result<(Times, Times)> {
    let addresses = cluster.addresses();
    let backend = Backend::at(addresses[0])?;
    let own = listen(addresses[0], event, events).await?;
    let other = if is_kept { Some(listen(addresses[1], event, events).await?) } else { None };
    let sent = Arc::new(Mutex::new(Vec::with_capacity(events)));
    let mut beat = interval(PAUSE);
    for n in 0..events {
        beat.tick().await;
        sent.lock().push(Instant::now());
        let to = json!({ "rooms": [ROOM] });
        if is_kept {
            backend.emit(to, event, n).await?;
        } else {
            backend.emit_volatile(to, event, n).await?;
        }
    }
    let sent = sent.lock().clone();
    let own = Times::of(&sent, &timeout(PATIENCE, own).await???);
    let other = match other {
        Some(other) => Times::of(&sent, &timeout(PATIENCE, other).await???),
        None => Times(Vec::new()),
    };
    Ok((own, other))
}

/// Has a client hear all of them.
async fn listen(address: std::net::SocketAddr, event: &str, events: usize) -> Result<Heard> {
    let token = Server::token("listener")?;
    let mut client = Client::connect(address, &token, Session::default()).await?;
    client.join("delivery").await?;
    let event = event.to_owned();
    Ok(tokio::spawn(async move {
        let mut heard = Vec::with_capacity(events);
        while heard.len() < events {
            let came = client.event().await?;
            if came.name == event {
                ensure!(came.data == heard.len(), "{} instead of {}", came.data, heard.len());
                heard.push(Instant::now());
            }
        }
        Ok(heard)
    }))
}

/// How long each took, in order.
struct Times(Vec<Duration>);

impl Times {
    fn of(sent: &[Instant], heard: &[Instant]) -> Self {
        let took = sent.iter().zip(heard).map(|(sent, heard)| heard.duration_since(*sent));
        let mut took: Vec<_> = took.collect();
        took.sort();
        Self(took)
    }

    fn half(&self) -> Duration {
        self.most(50)
    }

    /// Within which so many of 100 were heard.
    fn most(&self, of_100: usize) -> Duration {
        let rank = (self.0.len() * of_100).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }
}
