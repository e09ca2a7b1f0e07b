//! Presence over several nodes: this one says who came to it and who left it, and hears what follows for
//! all. What it said is said again whenever it may have been forgotten; what it heard is compared
//! whenever something may have been missed. While Redis is away nothing changes, and nothing is guessed.

use std::{collections::HashSet, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::{announcer::Announcer, registry::Registry};
use crate::{
    cluster::{Away, Cluster, State, Step, Ticked},
    id::Id,
};

/// How often it is said that this node is alive.
const TICK: Duration = Duration::from_secs(1);

/// How often everything is said and compared again, in case something was lost.
const AGAIN: Duration = Duration::from_mins(1);

/// How long other nodes have to say again who is here, once Redis has forgotten it: a lease, and a tick.
const RECALL: Duration = Duration::from_secs(10);

/// Users of whom it is said together.
const TOGETHER: usize = 500;

/// How long the last words may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What is to be said to other nodes.
pub(super) struct Nodes {
    cluster: Cluster,
    /// How long a user may be gone before that is told.
    grace: Duration,
    /// Users who came to this node or left it since that was said.
    due: Mutex<HashSet<Id>>,
    wake: Notify,
    /// Whether it is known here who is on the other nodes.
    known: watch::Sender<bool>,
}

impl Nodes {
    pub(super) fn new(cluster: Cluster, grace: Duration) -> Self {
        let (known, _) = watch::channel(false);
        Self { cluster, grace, due: Mutex::default(), wake: Notify::new(), known }
    }

    /// The first connection of a user on this node has opened, or the last one has ended.
    pub(super) fn report(&self, user: Id) {
        self.due.lock().insert(user);
        self.wake.notify_one();
    }

    pub(super) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Whether it is known who is on the other nodes.
    pub(super) fn known(&self) -> watch::Receiver<bool> {
        self.known.subscribe()
    }

    fn take_due(&self) -> Vec<Id> {
        let mut due = self.due.lock();
        let some: Vec<Id> = due.iter().take(TOGETHER).cloned().collect();
        for user in &some {
            due.remove(user);
        }
        some
    }
}

/// Says and hears, until the server stops.
pub(super) async fn keep(
    nodes: Arc<Nodes>,
    registry: Arc<Registry>,
    announcer: Arc<Announcer>,
    stopping: impl Future<Output = ()>,
) {
    let mut state = nodes.cluster.state();
    let mut keeper = Keeper {
        nodes: nodes.clone(),
        registry,
        announcer,
        step: Step::Begin,
        former: Vec::new(),
        epoch: None,
        knows_from: None,
        again_at: Instant::now() + AGAIN,
    };
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stopping = std::pin::pin!(stopping);
    loop {
        // Who is away is noticed by the state.
        let _ = tokio::select! {
            _ = ticks.tick() => keeper.tick().await,
            () = nodes.wake.notified() => keeper.report().await,
            Ok(()) = state.changed() => {
                let is_connected = *state.borrow_and_update() == State::Connected;
                nodes.known.send_replace(false);
                if is_connected { keeper.join().await } else { Ok(()) }
            }
            () = &mut stopping => break,
        };
    }
    let _ = timeout(LAST_WORDS, keeper.end()).await;
}

struct Keeper {
    nodes: Arc<Nodes>,
    registry: Arc<Registry>,
    announcer: Arc<Announcer>,
    step: Step,
    /// Names under which it has said something, and says nothing any more.
    former: Vec<String>,
    /// What Redis knows began with this.
    epoch: Option<String>,
    /// From when on who is not told to be online is taken to have gone; none for always.
    knows_from: Option<Instant>,
    again_at: Instant,
}

impl Keeper {
    /// Redis is there, and what was told before was not heard. What was said may come to it yet, after
    /// what is said from now on: it is of another name.
    async fn join(&mut self) -> Result<(), Away> {
        self.begin_anew();
        self.lease().await?;
        while let Some(name) = self.former.last() {
            self.nodes.cluster.end(name).await?;
            self.former.pop();
        }
        self.take_over().await
    }

    fn begin_anew(&mut self) {
        let before = self.nodes.cluster.begin_anew();
        if self.step != Step::Begin {
            self.former.push(before);
        }
        self.step = Step::Begin;
        self.say_all_again();
    }

    /// What is to be done every second.
    async fn tick(&mut self) -> Result<(), Away> {
        self.lease().await?;
        let now = Instant::now();
        if now >= self.again_at {
            self.again_at = now + AGAIN;
            self.say_all_again();
            self.report().await?;
            return self.take_over().await;
        }
        if self.knows_from.is_some_and(|from| now >= from) {
            self.take_over().await?;
        }
        Ok(())
    }

    /// Renews the lease. Where there is none any more, this node begins anew.
    async fn lease(&mut self) -> Result<(), Away> {
        loop {
            match self.nodes.cluster.tick(self.step).await? {
                Ticked::Lost => {
                    tracing::info!(
                        "other nodes took this one to be gone, or Redis forgot it: it says again who is here"
                    );
                    self.begin_anew();
                    // Who was about to be told to have gone may be forgotten, too.
                    self.again_at = Instant::now();
                }
                Ticked::Done if self.step == Step::Begin => {
                    // Before anybody is found to be nowhere.
                    self.step = Step::GoOn;
                    self.report().await?;
                }
                Ticked::Done => return Ok(()),
                Ticked::More => {}
            }
        }
    }

    fn say_all_again(&self) {
        self.nodes.due.lock().extend(self.registry.all_here());
    }

    /// Says who came and who went.
    async fn report(&mut self) -> Result<(), Away> {
        // Without a lease nobody listens; it is said with the next one.
        if self.step == Step::Begin {
            return Ok(());
        }
        loop {
            let some = self.nodes.take_due();
            if some.is_empty() {
                return Ok(());
            }
            match self.say(&some).await {
                Ok(true) => {}
                // The next tick finds it lost, too, and says all.
                Ok(false) => {
                    self.nodes.due.lock().extend(some);
                    return Ok(());
                }
                Err(away) => {
                    self.nodes.due.lock().extend(some);
                    return Err(away);
                }
            }
        }
    }

    /// Says how these users stand here; false when the lease has ended.
    async fn say(&self, users: &[Id]) -> Result<bool, Away> {
        let Nodes { cluster, grace, .. } = &*self.nodes;
        let (here, gone): (Vec<Id>, Vec<Id>) =
            users.iter().cloned().partition(|user| self.registry.is_here(user));
        if !here.is_empty() && !cluster.arrive(&here).await? {
            return Ok(false);
        }
        if !gone.is_empty() {
            cluster.leave(&gone, *grace).await?;
        }
        Ok(true)
    }

    /// Compares who is online with what was heard.
    async fn take_over(&mut self) -> Result<(), Away> {
        let asked = Instant::now();
        self.registry.compare();
        let online = self.nodes.cluster.online().await?;
        let is_first = self.epoch.is_none();
        if !is_first && self.epoch != online.epoch {
            self.knows_from = Some(asked + RECALL);
        }
        self.epoch = online.epoch.or(self.epoch.take());
        let is_whole = self.knows_from.is_none_or(|from| from <= asked);
        for user in self.registry.take_over(online.users, is_whole) {
            if is_first && !self.registry.is_here(&user) {
                // Others told it when it happened.
                self.registry.settle(&user);
            } else {
                self.announcer.look_soon(user);
            }
        }
        if is_whole {
            self.knows_from = None;
            self.nodes.known.send_replace(true);
        }
        Ok(())
    }

    /// Nobody is here any more.
    async fn end(&mut self) -> Result<(), Away> {
        self.report().await?;
        self.nodes.cluster.end(&self.nodes.cluster.incarnation()).await
    }
}
