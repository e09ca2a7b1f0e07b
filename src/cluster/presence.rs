//! Who is here over all nodes, as Redis knows it: each node has a lease that it renews, and says which
//! users came to it and left it. What follows for others is decided in one place, by scripts that run
//! whole, and told to all nodes on `stoa:presence`: `[[user, "online" | "offline", ms], …]`.

use std::time::Duration;

use redis::{Script, cmd};

use super::{Away, Cluster, names::Kind};
use crate::{clock::Timestamp, id::Id, metrics};

/// The keys, which have a slot in common.
const KEYS: [&str; 5] = ["nodes", "byuser", "bynode", "told", "away"];

/// How long a node that says nothing is taken to be alive.
const LEASE: Duration = Duration::from_secs(9);

/// Users of whom one script tells at most.
const AT_ONCE: usize = 2000;

/// Fields that are read at once.
const FIELDS: usize = 1000;

/// What a tick is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The first one of an incarnation.
    Begin,
    /// One of many.
    GoOn,
}

/// What came of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ticked {
    /// The lease goes on, and there is nothing more to do.
    Done,
    /// The lease goes on, and there is more to do at once.
    More,
    /// The lease has ended, or Redis knows nothing of it: who is here has to be said again, under
    /// another name.
    Lost,
}

/// Who is told to be online.
#[derive(Debug, Default)]
pub struct Online {
    /// Another one once Redis has forgotten everything; none before anybody said something since.
    pub epoch: Option<String>,
    /// The users, and since when.
    pub users: Vec<(Id, Timestamp)>,
}

impl Cluster {
    /// Renews the lease, tells of whose lease has ended, and of whoever is away for long enough.
    ///
    /// # Errors
    /// [`Away`]
    pub async fn tick(&self, step: Step) -> Result<Ticked, Away> {
        let step = match step {
            Step::Begin => "begin",
            Step::GoOn => "go on",
        };
        self.tick_as(&self.incarnation(), step).await
    }

    /// What this node is called where it says who is here.
    #[must_use]
    pub fn incarnation(&self) -> String {
        self.shared().names.incarnation()
    }

    /// What a node said under this name counts for nothing any more, nor what still comes under it.
    ///
    /// # Errors
    /// [`Away`]
    pub async fn end(&self, incarnation: &str) -> Result<(), Away> {
        self.tick_as(incarnation, "end").await.map(drop)
    }

    async fn tick_as(&self, incarnation: &str, step: &str) -> Result<Ticked, Away> {
        let shared = self.shared();
        let mut script = shared.scripts.tick.prepare_invoke();
        for key in KEYS {
            script.key(shared.names.key(key));
        }
        script.arg(incarnation).arg(millis(LEASE));
        script.arg(shared.names.channel(Kind::Presence)).arg(AT_ONCE).arg(step);
        let ticked = shared.ask(async |redis| script.invoke_async(redis).await);
        let (outcome, more, alive): (String, u8, u32) = ticked.await?;
        if outcome != "ok" {
            metrics::cluster_leases_lost().increment(1);
            return Ok(Ticked::Lost);
        }
        // The first tick looks at nobody else.
        if alive > 0 {
            metrics::cluster_nodes().set(f64::from(alive));
        }
        Ok(if more == 0 { Ticked::Done } else { Ticked::More })
    }

    /// This node begins anew, under another name; its old one.
    #[must_use]
    pub fn begin_anew(&self) -> String {
        self.shared().names.begin_anew()
    }

    /// These users came to this node; false when its lease has ended.
    ///
    /// # Errors
    /// [`Away`]
    pub async fn arrive(&self, users: &[Id]) -> Result<bool, Away> {
        let shared = self.shared();
        let channel = shared.names.channel(Kind::Presence);
        Ok(self.say(&shared.scripts.arrive, &channel, users).await? == "ok")
    }

    /// These users left this node; it is told once they have been away for so long.
    ///
    /// # Errors
    /// [`Away`]
    pub async fn leave(&self, users: &[Id], grace: Duration) -> Result<(), Away> {
        self.say(&self.shared().scripts.leave, &millis(grace).to_string(), users).await?;
        Ok(())
    }

    async fn say(&self, script: &Script, with: &str, users: &[Id]) -> Result<String, Away> {
        let shared = self.shared();
        let mut script = script.prepare_invoke();
        for key in KEYS {
            script.key(shared.names.key(key));
        }
        script.arg(shared.names.incarnation()).arg(with);
        for user in users {
            script.arg(user.as_str());
        }
        shared.ask(async |redis| script.invoke_async(redis).await).await
    }

    /// Who is told to be online, as of some time between now and the answer.
    ///
    /// # Errors
    /// [`Away`]
    pub async fn online(&self) -> Result<Online, Away> {
        let key = self.shared().names.key("told");
        let (mut online, mut cursor) = (Online::default(), 0);
        loop {
            let mut scan = cmd("HSCAN");
            scan.arg(&key).arg(cursor).arg("COUNT").arg(FIELDS);
            let page = self.shared().ask(async |redis| scan.query_async(redis).await);
            let (next, fields): (u64, Vec<(String, String)>) = page.await?;
            for (field, value) in fields {
                match (Id::new(&field), value.parse()) {
                    (Ok(user), Ok(ms)) => online.users.push((user, Timestamp::from_millis(ms))),
                    _ if field == " epoch" => online.epoch = Some(value),
                    _ => {}
                }
            }
            cursor = next;
            if cursor == 0 {
                return Ok(online);
            }
        }
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}
