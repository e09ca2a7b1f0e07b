//! The operators who are here: each is told of this node as fast as they can take it, from one queue. Who
//! falls behind, or misses something, is told all anew.

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use parking_lot::Mutex;
use serde_json::{
    json,
    value::{RawValue, to_raw_value},
};
use tokio::{
    sync::{
        Notify,
        broadcast::{
            self, Receiver,
            error::{RecvError, TryRecvError},
        },
    },
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    actions::Actions,
    documents::{DEVELOPMENT, FEATURES, Features, Listed},
    login::{Admitted, Login},
    news::{event, news},
    others::{self, Others, Question, Reached},
    stats::{EVERY, Node},
};
use crate::{
    clock::{Clock, Timestamp},
    cluster::Cluster,
    config::{Config, Environment},
    error::{Error, Result},
    limits::CallerRates,
    realtime::{Connection, EmitService, Inspector, Outgoing, Realtime, Sockets},
    tasks::Tasks,
};

/// Operators at once (docs/limits.md).
const MOST_OPERATORS: usize = 16;

/// Sockets that are listed; of more only the numbers are told (docs/limits.md).
const MOST_LISTED: usize = 2000;

/// Events that wait for an operator who is slow; with more they are told all anew (docs/limits.md).
const MOST_BEHIND: usize = 4096;

/// Bytes that are told at once.
const AT_ONCE: usize = 64 * 1024;

/// Bytes of what another node is answered (docs/limits.md).
const MOST_ANSWERED: usize = 8_000_000;

/// For how long what happens is gathered.
const GATHERED: Duration = Duration::from_millis(20);

/// What a client is told where there are as many operators as may be.
const TOO_MANY: &str = "Too many operators are here.";

/// Answers the Admin UI. Cheap to clone.
#[derive(Clone)]
pub struct Instrument(Arc<Inner>);

struct Inner {
    login: Login,
    actions: Actions,
    sockets: Sockets,
    clock: Clock,
    tasks: Tasks,
    node: Node,
    /// The other nodes, where there are some.
    others: Option<Others>,
    /// Each socket is told of.
    details: bool,
    operators: Mutex<HashMap<Uuid, Operator>>,
    /// Somebody looks, of whom nobody did.
    came: Notify,
    told: broadcast::Sender<Told>,
}

/// Somebody who was let in.
struct Operator {
    address: IpAddr,
    /// What they are to be given.
    session: Option<String>,
    gone: CancellationToken,
}

/// What all operators are told.
#[derive(Clone)]
enum Told {
    Event(Arc<Outgoing>),
    /// Something was left out.
    Anew,
}

impl Instrument {
    /// As configured; none where nobody may look.
    #[must_use]
    pub fn start(
        config: &Config,
        realtime: &Realtime,
        emits: EmitService,
        rates: CallerRates,
        cluster: Option<Cluster>,
        clock: &Clock,
        tasks: &Tasks,
    ) -> Option<Self> {
        let login = Login::new(&config.admin_ui, rates, clock.clone())?;
        let sockets = realtime.sockets().clone();
        let this = Self(Arc::new(Inner {
            login,
            actions: Actions::new(sockets.clone(), emits),
            sockets,
            clock: clock.clone(),
            tasks: tasks.clone(),
            node: Node::new(config.log.node.as_deref(), clock.clone()),
            others: cluster.map(Others::new),
            details: config.environment == Environment::Development,
            operators: Mutex::default(),
            came: Notify::new(),
            told: broadcast::Sender::new(MOST_BEHIND),
        }));
        tasks.spawn_until_stopped("admin ui", this.clone().run());
        if this.0.others.is_some() {
            tasks.spawn_until_stopped("admin ui of other nodes", this.clone().hear_others());
        }
        Some(this)
    }

    /// Tells operators what happens, while there are some.
    async fn run(self) {
        let Inner { sockets, node, operators, came, told, .. } = &*self.0;
        let watch = sockets.watch();
        let (mut every, mut counted, mut seconds) = (interval(EVERY), Vec::new(), 0_u32);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.look(&operators.lock());
            if !self.is_seen(&operators.lock()) {
                counted.clear();
                came.notified().await;
            }
            tokio::select! {
                _ = every.tick() => {
                    counted.extend(node.second(watch));
                    seconds = seconds.wrapping_add(1);
                    if seconds.is_multiple_of(2) {
                        let stats = node.stats(watch, std::mem::take(&mut counted));
                        self.tell(event("server_stats", &[stats]));
                    }
                }
                () = watch.filled() => {
                    sleep(GATHERED).await;
                    let happened = sockets.happenings();
                    for noted in happened.happenings {
                        for event in news(noted, self.0.clock.now()) {
                            self.tell(Some(event));
                        }
                    }
                    if happened.is_too_much {
                        self.0.others.as_ref().inspect(|others| others.lose());
                        // Nobody may be there by now.
                        let _ = told.send(Told::Anew);
                    }
                }
            }
        }
    }

    /// Tells operators what happens on the other nodes, while there are some.
    async fn hear_others(self) {
        loop {
            sleep(others::EVERY).await;
            let is_alone = self.0.operators.lock().is_empty();
            let Some(others) = self.0.others.as_ref().filter(|_| !is_alone) else { continue };
            let told: Vec<_> = match others.hear().await {
                Some(events) => events.into_iter().map(Told::Event).collect(),
                None => vec![Told::Anew],
            };
            for told in told {
                // Nobody may be there by now.
                let _ = self.0.told.send(told);
            }
        }
    }

    /// What this node answers another; none to what it does not know.
    pub async fn answer(&self, question: &RawValue) -> Option<Box<RawValue>> {
        let others = self.0.others.as_ref()?;
        let answer = match serde_json::from_str(question.get()).ok()? {
            Question::Hear { since } => {
                let news = others.tell(&since);
                self.look(&self.0.operators.lock());
                self.0.came.notify_one();
                to_raw_value(&news)
            }
            Question::See {} => to_raw_value(&self.listed().await),
            Question::Act { operator, event } => {
                let done = self.0.actions.act(&operator, None, event.get()).await;
                to_raw_value(&Reached { sockets: done.map_or(0, |done| done.sockets) })
            }
        };
        answer.ok().filter(|answer| answer.get().len() <= MOST_ANSWERED)
    }

    fn tell(&self, event: Option<Arc<Outgoing>>) {
        if let Some(event) = event {
            self.0.others.as_ref().inspect(|others| others.keep(&event));
            // Nobody may be there by now.
            let _ = self.0.told.send(Told::Event(event));
        }
    }

    /// Whether an operator is here, or asks by way of another node.
    fn is_seen(&self, operators: &HashMap<Uuid, Operator>) -> bool {
        !operators.is_empty() || self.0.others.as_ref().is_some_and(Others::is_asked)
    }

    /// Somebody has come or gone: it is noted what they want to know.
    fn look(&self, operators: &HashMap<Uuid, Operator>) {
        let is_seen = self.is_seen(operators);
        self.0.sockets.watch().look(is_seen, is_seen && self.0.details);
    }

    /// Tells an operator how it is, and what changes; until they have gone.
    async fn serve(self, connection: Arc<Connection>, session: Option<String>) {
        // Not before its CONNECT is answered, which its lock is held for.
        if !connection.is_open() {
            return;
        }
        let mut told = self.0.told.subscribe();
        let mut first = Vec::new();
        first.extend(session.and_then(|session| event("session", &[session])));
        let more = self.0.details.then_some(DEVELOPMENT);
        let supported_features = FEATURES.into_iter().chain(more).collect();
        first.extend(event("config", &[Features { supported_features }]));
        let stats = self.0.node.stats(self.0.sockets.watch(), Vec::new());
        first.extend(event("server_stats", &[stats]));
        if !connection.tell(&first).await || !self.list(&connection).await {
            return;
        }
        loop {
            let is_here = match next(&mut told).await {
                Next::Events(events) => connection.tell(&events).await,
                Next::Anew => {
                    told = self.0.told.subscribe();
                    self.list(&connection).await
                }
                Next::Nothing => false,
            };
            if !is_here {
                return;
            }
        }
    }

    /// Tells an operator of all sockets, in portions: with the first the UI forgets what it knew. False when
    /// they have gone.
    async fn list(&self, operator: &Arc<Connection>) -> bool {
        if !self.0.details {
            return true;
        }
        let mut listed = self.listed().await;
        if let Some(others) = &self.0.others {
            listed.extend(others.sockets().await);
            listed.truncate(MOST_LISTED);
        }
        for portion in portions(listed) {
            if !operator.tell(&portion).await {
                return false;
            }
        }
        true
    }

    /// The sockets of this node, as many as are listed.
    async fn listed(&self) -> Vec<Listed> {
        let all = self.0.sockets.all().await;
        let all = all.iter().filter(|one| one.is_open()).take(MOST_LISTED);
        all.filter_map(|one: &Arc<Connection>| Listed::of(one.seen())).collect()
    }
}

/// Sockets as the UI takes them in portions: those of the first take the place of all that it knew, others
/// come one by one.
fn portions(sockets: Vec<Listed>) -> Vec<Vec<Arc<Outgoing>>> {
    let (mut first, mut bytes, mut rest) = (Vec::new(), 0, sockets.into_iter());
    while bytes < AT_ONCE
        && let Some(Listed { socket, .. }) = rest.next()
    {
        bytes += socket.get().len();
        first.push(socket);
    }
    let mut portions = vec![event("all_sockets", &[first]).into_iter().collect()];
    let (mut portion, mut bytes) = (Vec::new(), 0);
    for Listed { since, socket } in rest {
        let since = Timestamp::from_millis(since);
        let Some(event) = event("socket_connected", &(socket, since)) else { continue };
        bytes += event.data().get().len();
        portion.push(event);
        if bytes >= AT_ONCE {
            portions.push(std::mem::take(&mut portion));
            bytes = 0;
        }
    }
    portions.push(portion);
    portions
}

/// What an operator is told next.
enum Next {
    Events(Vec<Arc<Outgoing>>),
    /// All, since something was left out.
    Anew,
    /// The server stops.
    Nothing,
}

/// What is to be told next, as much as may be told at once.
async fn next(told: &mut Receiver<Told>) -> Next {
    let mut next = match told.recv().await {
        Ok(next) => next,
        Err(RecvError::Lagged(_)) => return Next::Anew,
        Err(RecvError::Closed) => return Next::Nothing,
    };
    let (mut events, mut bytes) = (Vec::new(), 0);
    loop {
        let Told::Event(event) = next else { return Next::Anew };
        bytes += event.data().get().len();
        events.push(event);
        if bytes >= AT_ONCE {
            return Next::Events(events);
        }
        next = match told.try_recv() {
            Ok(next) => next,
            Err(TryRecvError::Lagged(_)) => return Next::Anew,
            Err(TryRecvError::Empty | TryRecvError::Closed) => return Next::Events(events),
        };
    }
}

impl Inspector for Instrument {
    fn admit(
        self: Arc<Self>,
        socket: Uuid,
        address: IpAddr,
        auth: Option<Box<str>>,
    ) -> BoxFuture<'static, Result<(), &'static str>> {
        let admit = async move {
            let session = match self.0.login.admit(address, auth.as_deref()).await? {
                Admitted::BySession => None,
                Admitted::ByPassword(session) => Some(session),
            };
            let mut operators = self.0.operators.lock();
            if operators.len() >= MOST_OPERATORS {
                return Err(TOO_MANY);
            }
            let gone = CancellationToken::new();
            operators.insert(socket, Operator { address, session, gone });
            Ok(())
        };
        admit.boxed()
    }

    fn arrived(&self, connection: &Arc<Connection>) {
        let mut operators = self.0.operators.lock();
        let Some(operator) = operators.get_mut(&connection.id()) else { return };
        let (session, gone) = (operator.session.take(), operator.gone.clone());
        self.look(&operators);
        self.0.came.notify_one();
        let serve = self.clone().serve(connection.clone(), session);
        self.0.tasks.spawn_until_stopped("operator", async move {
            gone.run_until_cancelled_owned(serve).await;
        });
    }

    fn ask(
        self: Arc<Self>,
        connection: Arc<Connection>,
        event: Box<str>,
    ) -> BoxFuture<'static, Result<Box<str>>> {
        let ask = async move {
            let address = self.0.operators.lock().get(&connection.id()).map(|it| it.address);
            let address = address.ok_or_else(Error::forbidden)?;
            let operator = self.0.login.user();
            let done = self.0.actions.act(operator, Some(address), &event).await?;
            let mut sockets = done.sockets;
            if let Some(others) = self.0.others.as_ref().filter(|_| !done.is_everywhere) {
                sockets += others.act(operator, &event).await;
            }
            Ok(json!({ "success": true, "sockets": sockets }).to_string().into())
        };
        ask.boxed()
    }

    fn left(&self, socket: Uuid) {
        let mut operators = self.0.operators.lock();
        if let Some(operator) = operators.remove(&socket) {
            operator.gone.cancel();
        }
        self.look(&operators);
    }
}
