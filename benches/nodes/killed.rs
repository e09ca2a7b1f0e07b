//! What becomes of the clients of a server that is killed: those who come back to another, and how long
//! it takes until those who do not are told to be offline.

use std::{collections::HashSet, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use futures_util::future::try_join_all;
use serde_json::json;
use tokio::{
    sync::Semaphore,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use super::{
    backend::Backend,
    client::{Client, Session},
    cluster::Cluster,
    server::Server,
    table::Row,
};

/// Handshakes at a time.
const WINDOW: usize = 100;
/// Clients of a room.
const IN_A_ROOM: usize = 10;
/// Events that are sent to all while they are away.
const MISSED: usize = 20;
/// Users who do not come back.
const GONE: usize = 500;
/// Until a connection that failed is tried again.
const AGAIN: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_mins(1);

const RECOVERED: Duration = Duration::from_secs(5);
const OFFLINE: Duration = Duration::from_secs(12);

/// How a client came back: when, and whether to its session.
type Back = (Instant, bool);

/// Kills the first of two servers.
///
/// # Errors
/// When somebody misses something or hears it twice.
pub async fn measure(cluster: &mut Cluster, many: usize) -> Result<Vec<Row>> {
    let addresses = cluster.addresses();
    let (from, to) = (addresses[0], addresses[1]);
    let mut observer = Client::connect(
        to,
        &Server::token_with("observer", &["admin"], "observer")?,
        Session::default(),
    )
    .await?;
    let gone = connect(from, "gone", GONE).await?;
    let clients = connect(from, "back", many).await?;
    let (door, backend) = (Arc::new(Semaphore::new(WINDOW)), Backend::at(to)?);
    let waiting: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(at, client)| tokio::spawn(come_back(client, to, at, door.clone())))
        .collect();
    // It gives each the place from which it goes on.
    backend.emit(json!("everyone"), "begin", 0).await?;
    let gone: Vec<JoinHandle<()>> =
        gone.into_iter().map(|client| tokio::spawn(listen(client))).collect();
    sleep(Duration::from_secs(2)).await;
    let killed = Instant::now();
    cluster.kill_first();
    let emitted = async {
        for n in 0..MISSED {
            backend.emit(json!("everyone"), "missed", n).await?;
        }
        Ok::<_, anyhow::Error>(())
    };
    let offline = async {
        let mut left: HashSet<String> = (0..GONE).map(|n| format!("gone-{n}")).collect();
        while !left.is_empty() {
            let event = observer.event().await?;
            if event.name == "user:offline" {
                left.remove(event.data["userId"].as_str().unwrap_or_default());
            }
        }
        Ok(killed.elapsed())
    };
    let returned = async {
        let all = try_join_all(waiting).await?;
        all.into_iter().collect::<Result<Vec<Back>>>()
    };
    let all = timeout(PATIENCE, async { tokio::try_join!(emitted, offline, returned) }).await;
    let ((), offline, returned) = all.context("not all of it came to pass")??;
    for client in gone {
        client.abort();
    }
    let last = returned.iter().map(|(at, _)| at.duration_since(killed)).max().unwrap_or_default();
    let recovered = returned.iter().filter(|(_, is_recovered)| *is_recovered).count();
    ensure!(recovered == many, "{recovered} of {many} were recovered");
    Ok(vec![
        Row::claimed(
            &format!("a server of {many} clients is killed: all recovered"),
            last,
            RECOVERED,
        ),
        Row::claimed(&format!("its {GONE} other users are told to be offline"), offline, OFFLINE),
    ])
}

/// So many clients, each of a user.
async fn connect(address: SocketAddr, name: &str, many: usize) -> Result<Vec<Client>> {
    let mut clients = Vec::with_capacity(many);
    let all: Vec<usize> = (0..many).collect();
    for some in all.chunks(WINDOW) {
        let some = some.iter().map(async |n| {
            let token = Server::token(&format!("{name}-{n}"))?;
            let mut client = Client::connect(address, &token, Session::default()).await?;
            client.join(&format!("{name}-{}", n / IN_A_ROOM)).await?;
            Ok::<_, anyhow::Error>(client)
        });
        clients.extend(try_join_all(some).await?);
    }
    Ok(clients)
}

/// Hears what comes until the connection is lost.
async fn listen(mut client: Client) {
    while client.event().await.is_ok() {}
}

/// Waits for the loss of its server, goes on at the other, and hears there what it has missed.
async fn come_back(
    mut client: Client,
    to: SocketAddr,
    at: usize,
    door: Arc<Semaphore>,
) -> Result<Back> {
    let mut has_begun = false;
    while let Ok(event) = client.event().await {
        has_begun |= event.name == "begin";
    }
    ensure!(has_begun, "the server was killed before all had heard anything");
    let token = Server::token(&format!("back-{at}"))?;
    let session = client.session.clone();
    let mut client = loop {
        let _place = door.acquire().await?;
        match Client::connect(to, &token, session.clone()).await {
            Ok(client) => break client,
            Err(_) => sleep(AGAIN).await,
        }
    };
    let back = (Instant::now(), client.is_recovered);
    for n in 0..MISSED {
        loop {
            let event = client.event().await?;
            if event.name == "missed" {
                if event.data != n {
                    bail!("{} came instead of {n}", event.data);
                }
                break;
            }
        }
    }
    Ok(back)
}
