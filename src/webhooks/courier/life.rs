//! From a courier's turn, of all processes that could deliver, to its end.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::sleep;

use super::{Courier, desk::PAUSE, round::Round};
use crate::{
    db::{Turn, Tx},
    webhooks::store::{deliveries, progress},
};

/// How often it is looked how far a webhook is for which another process delivers.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

impl Courier {
    /// Delivers until the server stops, whenever no other process does.
    pub(in crate::webhooks) async fn run(
        self: Arc<Self>,
        stopping: impl Future<Output = ()> + Send,
    ) {
        let mut stopping = Box::pin(stopping);
        loop {
            let turn = tokio::select! {
                turn = self.turn() => turn,
                () = &mut stopping => return,
            };
            self.desk.is_here.store(true, Ordering::Release);
            let is_over = self.clone().deliver(turn, &mut stopping).await;
            self.desk.is_here.store(false, Ordering::Release);
            if is_over {
                return;
            }
            tracing::warn!(webhook = &*self.name, "another process may deliver a webhook's events");
        }
    }

    /// Waits until no other process delivers, and knows meanwhile which events that needs.
    async fn turn(&self) -> Turn {
        let of = format!("webhook {}", self.name);
        let mut waiting = Box::pin(self.db.turn(&of));
        loop {
            tokio::select! {
                turn = &mut waiting => return turn,
                () = sleep(LOOK_INTERVAL) => {}
            }
            let name = self.name.clone();
            let unit = async move |tx: &mut Tx<'_>| {
                let position = progress::find(tx, &name).await?.position;
                Ok((position, deliveries::lowest(tx, &name).await?))
            };
            if let Ok((position, lowest)) = self.db.read(unit).await {
                self.needs.set(self.place, position, lowest);
            }
        }
    }

    /// Delivers until the server stops, which is true, or the turn is lost.
    async fn deliver(
        self: Arc<Self>,
        mut turn: Turn,
        stopping: &mut (impl Future<Output = ()> + Unpin),
    ) -> bool {
        let mut lost = Box::pin(turn.lost());
        let mut reached = self.db.reached();
        loop {
            let begun = tokio::select! {
                begun = Round::begin(self.clone()) => begun,
                () = &mut lost => return false,
                () = &mut *stopping => return true,
            };
            match begun {
                Ok(mut round) => {
                    tokio::select! {
                        () = round.deliver(&mut reached) => continue,
                        () = &mut lost => return false,
                        () = &mut *stopping => {}
                    }
                    round.end().await;
                    return true;
                }
                Err(error) => {
                    tracing::warn!(webhook = &*self.name, ?error, "a webhook waits for the store");
                    tokio::select! {
                        () = sleep(PAUSE) => {}
                        () = &mut *stopping => return true,
                    }
                }
            }
        }
    }
}
