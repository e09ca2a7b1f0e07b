//! How many units of work servers on one Postgres store, one of them and three.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use futures_util::future::try_join_all;
use serde_json::json;
use tokio::time::sleep;

use super::{backend::Backend, cluster::Cluster, table::Row};

/// Backends that emit, each when its last event is kept.
const WRITERS: usize = 48;
/// How often each number of servers has its turn.
const ROUNDS: u32 = 2;
const WARM: Duration = Duration::from_secs(2);

/// Measures one server and three, in turns.
///
/// # Errors
/// When an emit is refused.
pub async fn measure(time: Duration) -> Result<Vec<Row>> {
    let (mut one, mut three) = (0.0, 0.0);
    for _ in 0..ROUNDS {
        one += units_per_second(1, time).await? / f64::from(ROUNDS);
        three += units_per_second(3, time).await? / f64::from(ROUNDS);
    }
    Ok(vec![
        Row::said("stored units/s, one server", &format!("{one:.0}")),
        Row::said("stored units/s, three servers", &format!("{three:.0}")),
        Row::said("three beside one", &format!("{:.2}", three / one)),
    ])
}

async fn units_per_second(nodes: usize, time: Duration) -> Result<f64> {
    let cluster = Cluster::start(nodes).await?;
    let addresses = cluster.addresses();
    let (stored, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let writers = (0..WRITERS).map(|writer| {
        let (stored, is_over) = (stored.clone(), is_over.clone());
        let backend = Backend::at(addresses[writer % nodes]);
        let room = json!({ "rooms": [format!("conversation:writer-{writer}")] });
        tokio::spawn(async move {
            let backend = backend?;
            while !is_over.load(Ordering::Relaxed) {
                backend.emit(room.clone(), "news", writer).await?;
                stored.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, anyhow::Error>(())
        })
    });
    let writers: Vec<_> = writers.collect();
    sleep(WARM).await;
    let before = stored.load(Ordering::Relaxed);
    sleep(time).await;
    let units = stored.load(Ordering::Relaxed) - before;
    is_over.store(true, Ordering::Relaxed);
    for done in try_join_all(writers).await? {
        done?;
    }
    Ok(units as f64 / time.as_secs_f64())
}
