//! The other nodes, as operators here see them, and this one as theirs do: each keeps what it would tell an
//! operator for those that ask, for as long as they do. What an operator does is asked of all.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::Instant;
use uuid::Uuid;

use super::{documents::Listed, news::event_of};
use crate::{cluster::Cluster, id::Ids, realtime::Outgoing};

/// How often others are asked.
pub(super) const EVERY: Duration = Duration::from_secs(2);

/// For how long something is kept for those that have asked.
const ASKED: Duration = Duration::from_secs(10);

/// What is kept for them; who asks for what came before is told all anew (docs/limits.md).
const MOST_KEPT: usize = 4096;

/// What a node asks the others.
#[derive(Serialize, Deserialize)]
pub(super) enum Question {
    /// What has happened, from the numbers that it had come to by node.
    #[serde(rename = "operatorsHear")]
    Hear { since: HashMap<Uuid, u64> },
    /// All sockets.
    #[serde(rename = "operatorsSee")]
    See {},
    /// To do this, a list of a name and arguments.
    #[serde(rename = "operatorsAct")]
    Act { operator: String, event: Box<RawValue> },
}

/// What has happened on a node.
#[derive(Serialize, Deserialize)]
pub(super) struct News {
    node: Uuid,
    /// The number of what comes next.
    next: u64,
    /// Something is missing.
    anew: bool,
    /// Names and arguments.
    events: Vec<(String, Box<RawValue>)>,
}

/// How many sockets an action reached on a node.
#[derive(Serialize, Deserialize)]
pub(super) struct Reached {
    pub(super) sockets: usize,
}

/// The other nodes.
pub(super) struct Others {
    cluster: Cluster,
    /// This one.
    node: Uuid,
    kept: Mutex<Kept>,
    /// How far this node has heard each of the others.
    heard: Mutex<HashMap<Uuid, u64>>,
}

#[derive(Default)]
struct Kept {
    asked: Option<Instant>,
    events: VecDeque<Arc<Outgoing>>,
    /// The number of what comes next.
    next: u64,
}

impl Kept {
    fn is_asked(&self) -> bool {
        self.asked.is_some_and(|asked| asked.elapsed() < ASKED)
    }
}

impl Others {
    pub(super) fn new(cluster: Cluster) -> Self {
        Self { cluster, node: Ids.next(), kept: Mutex::default(), heard: Mutex::default() }
    }

    /// Whether another node asks, of whose operators one may be there.
    pub(super) fn is_asked(&self) -> bool {
        self.kept.lock().is_asked()
    }

    /// Keeps something for those that ask.
    pub(super) fn keep(&self, event: &Arc<Outgoing>) {
        let mut kept = self.kept.lock();
        kept.next += 1;
        if !kept.is_asked() {
            kept.events.clear();
            return;
        }
        if kept.events.len() >= MOST_KEPT {
            kept.events.pop_front();
        }
        kept.events.push_back(event.clone());
    }

    /// Something was left out.
    pub(super) fn lose(&self) {
        let mut kept = self.kept.lock();
        kept.events.clear();
        kept.next += 1;
    }

    /// What one that asks is told.
    pub(super) fn tell(&self, since: &HashMap<Uuid, u64>) -> News {
        let mut kept = self.kept.lock();
        kept.asked = Some(Instant::now());
        let behind = since.get(&self.node).and_then(|since| kept.next.checked_sub(*since));
        let behind = behind.and_then(|behind| usize::try_from(behind).ok());
        let behind = behind.filter(|behind| *behind <= kept.events.len());
        let first = kept.events.len() - behind.unwrap_or(0);
        let news = kept.events.range(first..);
        let news = news.map(|event| (event.event().to_owned(), event.data().to_owned()));
        News { node: self.node, next: kept.next, anew: behind.is_none(), events: news.collect() }
    }

    /// What has happened on the others; none where something of it is missing.
    pub(super) async fn hear(&self) -> Option<Vec<Arc<Outgoing>>> {
        let since = self.heard.lock().clone();
        let (mut heard, mut is_whole, mut all) = (HashMap::new(), true, Vec::new());
        for News { node, next, anew, events } in self.answers(&Question::Hear { since }).await {
            heard.insert(node, next);
            is_whole &= !anew;
            all.extend(events.into_iter().filter_map(|(name, data)| event_of(&name, &data)));
        }
        *self.heard.lock() = heard;
        is_whole.then_some(all)
    }

    /// Their sockets.
    pub(super) async fn sockets(&self) -> Vec<Listed> {
        let sockets = self.answers::<Vec<Listed>>(&Question::See {}).await;
        sockets.into_iter().flatten().collect()
    }

    /// Has them do the same; how many sockets it reached.
    pub(super) async fn act(&self, operator: &str, event: &str) -> usize {
        let Ok(event) = RawValue::from_string(event.to_owned()) else { return 0 };
        let question = Question::Act { operator: operator.to_owned(), event };
        let reached = self.answers::<Reached>(&question).await;
        reached.into_iter().map(|reached| reached.sockets).sum()
    }

    /// What those answer that do.
    async fn answers<T: for<'a> Deserialize<'a>>(&self, question: &Question) -> Vec<T> {
        let Ok(question) = to_raw_value(question) else { return Vec::new() };
        let answers = self.cluster.ask_others(question).await.answers;
        answers.iter().filter_map(|answer| serde_json::from_str(answer.get()).ok()).collect()
    }
}
