//! A look at Redis from outside: each command that a node gives is tried where it changes nothing.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, RedisError, ServerErrorKind, Value, cmd,
};
use tokio::time::timeout;

use super::{
    emitters::Emitters,
    names::{Kind, Names},
    nodes::Cluster,
    server::{self, Unusable},
};
use crate::{
    clock::Timestamp,
    config::{BridgeConfig, ClusterConfig},
};

/// How long all of it may take, and one answer.
const LOOK: Duration = Duration::from_secs(8);
const ANSWER: Duration = Duration::from_secs(3);

/// What was found.
#[derive(Debug)]
pub struct Examined {
    /// Its version; none where it is too old to say, before 6.2.
    pub version: Option<String>,
    /// `standalone`, `cluster` or `sentinel`.
    pub mode: String,
    /// Whether it follows another, and takes no writes.
    pub is_replica: bool,
    /// Rights that this server's user lacks, as an ACL names them: `+publish`, `+script|load`.
    pub lacks: Vec<String>,
    /// What its clock said.
    pub now: Option<Timestamp>,
    /// From a question to its answer.
    pub round_trip: Duration,
}

/// Why Redis could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum ExamineError {
    /// It is not configured so that it could be asked.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// It does not let itself be asked.
    #[error("{}: {}", server::sentence(.0), .0)]
    Redis(RedisError),
    /// It speaks another language.
    #[error("{}", server::sentence(.0))]
    Another(RedisError),
    /// It says nothing.
    #[error("Redis does not answer (REDIS_URL)")]
    Silent,
}

impl From<RedisError> for ExamineError {
    fn from(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Parse => Self::Another(error),
            _ => Self::Redis(error),
        }
    }
}

impl Cluster {
    /// Looks at the Redis that is configured; none where this node is alone.
    ///
    /// # Errors
    /// When it can't be reached, or does not let this server in.
    pub async fn examine(
        config: &ClusterConfig,
        bridge: &BridgeConfig,
    ) -> Result<Option<Examined>, ExamineError> {
        let Some(client) = server::client(config)? else { return Ok(None) };
        let names = Names::new(&config.prefix);
        let look = look(&client, &names, bridge);
        Ok(Some(timeout(LOOK, look).await.map_err(|_| ExamineError::Silent)??))
    }
}

async fn look(
    client: &Client,
    names: &Names,
    bridge: &BridgeConfig,
) -> Result<Examined, ExamineError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(ANSWER))
        .set_response_timeout(Some(ANSWER));
    let mut redis = client.get_multiplexed_async_connection_with_config(&config).await?;
    let asked = Instant::now();
    // Whoever may connect may ask this, whatever their rights.
    let hello = cmd("HELLO").query_async::<HashMap<String, Value>>(&mut redis).await;
    let round_trip = asked.elapsed();
    let hello = match hello {
        Ok(hello) => hello,
        Err(error) if matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) => {
            HashMap::new()
        }
        Err(error) => return Err(error.into()),
    };
    let says = |name: &str| match hello.get(name) {
        Some(Value::BulkString(bytes)) => String::from_utf8(bytes.clone()).ok(),
        Some(Value::SimpleString(text)) => Some(text.clone()),
        _ => None,
    };
    let now = cmd("TIME").query_async::<(i64, i64)>(&mut redis).await.ok();
    let mut lacks = Vec::new();
    for (right, command) in commands(names) {
        if is_refused(command.query_async::<Value>(&mut redis).await)? {
            lacks.push(format!("+{right}"));
        }
    }
    lacks.extend(deafness(client, names, bridge).await?);
    Ok(Examined {
        version: says("version"),
        mode: says("mode").unwrap_or_else(|| "standalone".to_owned()),
        is_replica: says("role").is_some_and(|role| role != "master"),
        lacks,
        now: now.map(|(seconds, micros)| Timestamp::from_millis(seconds * 1000 + micros / 1000)),
        round_trip,
    })
}

/// The commands of the scripts and of a node, each so that nothing comes of it: on a key that is not there,
/// or with too little said. `HSETNX` would make its key, and is not tried.
fn commands(names: &Names) -> Vec<(&'static str, Cmd)> {
    let (key, channel) = (names.key("doctor"), names.channel_of(Kind::Probe, "doctor"));
    let nothing = "0".repeat(40);
    let on_key: [(&str, &[&str]); 13] = [
        ("get", &[]),
        ("set", &["", "XX"]),
        ("hget", &["f"]),
        // A name without a value.
        ("hset", &["f", "v", "f"]),
        ("hdel", &["f"]),
        ("hscan", &["0"]),
        ("zadd", &["XX", "0", "m"]),
        ("zrem", &["m"]),
        ("zscore", &["m"]),
        ("zcount", &["0", "0"]),
        ("zrange", &["0", "0"]),
        ("zrangebyscore", &["0", "0"]),
        ("zrangebylex", &["[a", "[a"]),
    ];
    let of_it = |(name, arguments): (&'static str, &[&str])| {
        let mut command = cmd(name);
        command.arg(&key).arg(arguments);
        (name, command)
    };
    let mut all: Vec<_> = on_key.into_iter().map(of_it).collect();
    let mut other = |right, words: &[&str]| {
        let mut command = cmd(words[0]);
        command.arg(&words[1..]);
        all.push((right, command));
    };
    other("time", &["TIME"]);
    other("publish", &["PUBLISH", &channel, ""]);
    other("evalsha", &["EVALSHA", &nothing, "0"]);
    other("script|load", &["SCRIPT", "LOAD", "return 1"]);
    all
}

/// What it may not subscribe to.
async fn deafness(
    client: &Client,
    names: &Names,
    bridge: &BridgeConfig,
) -> Result<Vec<String>, RedisError> {
    let mut lacks = Vec::new();
    let mut subscription = client.get_async_pubsub().await?;
    if is_refused(subscription.subscribe(names.channel(Kind::Wake)).await)? {
        lacks.push("+subscribe".to_owned());
    }
    if bridge.enabled {
        let (emitters, _) = Emitters::configured(bridge);
        for pattern in emitters.patterns() {
            if is_refused(subscription.psubscribe(pattern).await)? {
                lacks.push(format!("+psubscribe &{pattern}"));
            }
        }
    }
    Ok(lacks)
}

/// Whether it was refused for a right that is lacking. What else it says of a command is what was to be
/// expected.
fn is_refused<T>(answer: Result<T, RedisError>) -> Result<bool, RedisError> {
    match answer {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) => Ok(true),
        Err(error) if error.is_connection_dropped() || error.is_timeout() => Err(error),
        _ => Ok(false),
    }
}
