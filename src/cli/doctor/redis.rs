//! Redis: whether it can be reached, is one that will do, and lets this server do all that it has to.

use std::time::Duration;

use stoa::{
    clock::{Clock, Timestamp},
    cluster::{Cluster, ExamineError, Examined},
    config::Config,
};

use super::{
    clock::Told,
    finding::{Check, Finding},
};

/// Longer, and typing and presence are felt to be late.
const SLOW: Duration = Duration::from_millis(20);

/// The oldest that is known to work.
const OLDEST: (u32, u32) = (6, 2);

pub(super) async fn look(config: &Config) -> (Vec<Finding>, Option<Told>) {
    let asked = Clock::system().now();
    match Cluster::examine(&config.cluster, &config.bridge).await {
        Ok(None) if config.database.is_shared() => (vec![alone()], None),
        Ok(None) => (vec![Check::Redis.ok("none is needed: one server on SQLite is alone")], None),
        Ok(Some(redis)) => (judge(&redis, config.database.is_shared()), told(&redis, asked)),
        Err(error) => {
            let advice = match &error {
                ExamineError::Unusable(_) => "put right the setting that is named",
                ExamineError::Silent => {
                    "look whether a firewall, or TLS on one side alone (rediss://), swallows it"
                }
                ExamineError::Another(_) => {
                    "look at host and port in REDIS_URL, and at who listens there"
                }
                ExamineError::Redis(_) => {
                    "look whether it runs (`redis-cli -u URL ping`), and at host, user and password in REDIS_URL; until \
                     then typing and presence stay on their server"
                }
            };
            (vec![Check::Redis.problem(error.to_string(), advice)], None)
        }
    }
}

fn alone() -> Finding {
    Check::Redis.note(
        "there is none, and the store can be shared: typing, presence and volatile emits stay on their server",
        "set REDIS_URL where several servers share it",
    )
}

fn told(redis: &Examined, asked: Timestamp) -> Option<Told> {
    let here = Clock::system().now();
    Some(Told { whose: "Redis".to_owned(), there: redis.now?, here, within: asked.until(here) })
}

fn judge(redis: &Examined, is_shared: bool) -> Vec<Finding> {
    let version = redis.version.as_deref().unwrap_or("before 6.2");
    let mut found = Vec::new();
    if redis.version.as_deref().is_none_or(|version| number(version) < OLDEST) {
        found.push(Check::Redis.problem(
            format!("this is Redis {version}"),
            "Stoa needs Redis 6.2 or newer, or Valkey",
        ));
    }
    if redis.mode != "standalone" {
        found.push(Check::Redis.problem(
            format!("this Redis is one of a {}", redis.mode),
            "Stoa needs one server, also with replicas: no cluster, and no Sentinel in REDIS_URL",
        ));
    }
    if redis.is_replica {
        found.push(Check::Redis.problem(
            "this Redis follows another, and takes no writes",
            "name the one that it follows in REDIS_URL",
        ));
    }
    if !redis.lacks.is_empty() {
        found.push(Check::Redis.problem(
            format!(
                "Redis does not let this server's user do all that it has to: {}",
                redis.lacks.join(" ")
            ),
            "give it these rights (ACL SETUSER), as docs/operating.md has them all under Redis",
        ));
    }
    if redis.round_trip > SLOW {
        found.push(Check::Redis.warning(
            format!("Redis takes {} ms to answer", redis.round_trip.as_millis()),
            "have it in one place with the servers",
        ));
    }
    if found.is_empty() {
        let took = redis.round_trip.as_millis();
        found.push(
            Check::Redis
                .ok(format!("Redis {version} answers in {took} ms, and lets this server do all")),
        );
    }
    if !is_shared {
        found.push(Check::Redis.note(
            "the store is a file, which no other server shares: Redis joins this one with nobody",
            "several servers need one Postgres (DATABASE_URL); for emitters alone it is right so",
        ));
    }
    found
}

/// The first two numbers of a version.
fn number(version: &str) -> (u32, u32) {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Level, *};

    fn redis(change: impl FnOnce(&mut Examined)) -> Vec<Finding> {
        let mut redis = Examined {
            version: Some("7.0.15".to_owned()),
            mode: "standalone".to_owned(),
            is_replica: false,
            lacks: Vec::new(),
            now: None,
            round_trip: Duration::from_millis(1),
        };
        change(&mut redis);
        judge(&redis, true)
    }

    #[test]
    fn a_redis_that_will_not_do_is_told_of() {
        assert_eq!(redis(|_| ())[0].level, Level::Ok);
        for (says, found) in [
            ("Redis 6.0.9", redis(|redis| redis.version = Some("6.0.9".to_owned()))),
            ("before 6.2", redis(|redis| redis.version = None)),
            ("of a cluster", redis(|redis| redis.mode = "cluster".to_owned())),
            ("follows another", redis(|redis| redis.is_replica = true)),
            (
                "+publish +get",
                redis(|redis| redis.lacks = vec!["+publish".to_owned(), "+get".to_owned()]),
            ),
        ] {
            assert_eq!((found.len(), found[0].level), (1, Level::Problem));
            assert!(found[0].found.contains(says), "{}", found[0]);
        }
        let slow = redis(|redis| redis.round_trip = Duration::from_millis(21));
        assert_eq!(slow[0].level, Level::Warning);
        for (version, known) in [("6.2.0", true), ("9.0.1", true), ("10.0", true), ("6.1.9", false)]
        {
            assert_eq!(number(version) >= OLDEST, known, "{version}");
        }
    }
}
