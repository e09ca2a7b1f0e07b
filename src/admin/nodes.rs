//! The nodes as each says of itself: what it is called, since when it runs, how many sockets it has, how far
//! it is behind the store.

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::documents::{NodeList, NodeState};
use crate::cluster::Cluster;

/// What a node asks the others.
#[derive(Serialize, Deserialize)]
enum Question {
    /// How each does.
    #[serde(rename = "nodesTell")]
    Tell {},
}

/// The other nodes, where there are some.
pub(super) struct Others(Option<Cluster>);

impl Others {
    pub(super) fn new(cluster: Option<Cluster>) -> Self {
        Self(cluster)
    }

    /// This node with all that answer, by name.
    pub(super) async fn with(&self, own: NodeState) -> NodeList {
        let mut list = NodeList { items: vec![own], partial: false };
        if let (Some(cluster), Ok(question)) = (&self.0, to_raw_value(&Question::Tell {})) {
            let others = cluster.ask_others(question).await;
            let told = others.answers.iter().map(|answer| serde_json::from_str(answer.get()));
            list.items.extend(told.filter_map(Result::ok));
            list.partial = others.partial;
        }
        list.items.sort_by(|one, other| (&one.name, one.since).cmp(&(&other.name, other.since)));
        list
    }
}

/// The answer to another node, where that asks this.
pub(super) fn answer(
    question: &RawValue,
    own: impl FnOnce() -> NodeState,
) -> Option<Box<RawValue>> {
    let Question::Tell {} = serde_json::from_str(question.get()).ok()?;
    to_raw_value(&own()).ok()
}
