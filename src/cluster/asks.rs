//! Questions to all other nodes, whose answers come in a second or not at all: what they say is together
//! with what this node knows, and where one that lives is silent it is told that something is missing.

use std::{collections::HashSet, time::Duration};

use serde_json::value::RawValue;
use tokio::time::timeout;

use super::{
    Away, Cluster,
    asked::{Ask, Forget, Waiting},
    names::Kind,
};

/// How long the others have to answer (docs/limits.md).
const PATIENCE: Duration = Duration::from_secs(1);

/// What other nodes answered.
#[derive(Debug, Default)]
pub struct Answers {
    /// Of each that did.
    pub answers: Vec<Box<RawValue>>,
    /// Whether one that lives did not.
    pub partial: bool,
}

impl Cluster {
    /// Asks all other nodes.
    pub async fn ask_others(&self, question: Box<RawValue>) -> Answers {
        self.answers(question).await.unwrap_or(Answers { answers: Vec::new(), partial: true })
    }

    async fn answers(&self, question: Box<RawValue>) -> Result<Answers, Away> {
        let shared = self.shared();
        let others = self.others().await?;
        if others.is_empty() {
            return Ok(Answers::default());
        }
        let (id, all) = shared.asked.begin(others);
        let _forget = Forget(&shared.asked, id);
        let ask = Ask::new(&shared.names.node, id, question);
        let message = serde_json::to_string(&ask).map_err(|_| Away)?;
        shared.publish(Kind::Ask, &shared.names.channel(Kind::Ask), message).await?;
        let _ = timeout(PATIENCE, all).await;
        let Waiting { silent, answers, .. } = shared.asked.end(id).ok_or(Away)?;
        Ok(Answers { answers, partial: !silent.is_empty() })
    }

    /// The other nodes whose leases go on.
    async fn others(&self) -> Result<HashSet<String>, Away> {
        let shared = self.shared();
        let mut script = shared.scripts.alive.prepare_invoke();
        script.key(shared.names.key("nodes"));
        let alive: Vec<String> = shared.ask(async |redis| script.invoke_async(redis).await).await?;
        let nodes = alive.iter().filter_map(|incarnation| incarnation.split('.').next());
        let others = nodes.filter(|node| *node != shared.names.node);
        Ok(others.map(str::to_owned).collect())
    }
}
