//! The store: whether it can be reached, is whole, and of this version.

use std::time::Duration;

use stoa::{
    clock::{Clock, Timestamp},
    config::Config,
    db::{Db, Examined, PostgresExamined, Schema, SqliteExamined},
};

use super::{
    clock::Told,
    finding::{Check, Finding, size},
};

/// The log is folded in when it has 16 MB: with so much, somebody keeps it from that.
const LONG_LOG: u64 = 256 << 20;

/// Longer, and each write of a client is felt.
const SLOW: Duration = Duration::from_millis(20);

/// Postgres from 15 on.
const OLDEST: i64 = 150_000;

pub(super) async fn look(config: &Config) -> (Vec<Finding>, Option<Told>) {
    let name = Db::name(&config.database, &config.data);
    let asked = Clock::system().now();
    match Db::examine(&config.database, &config.data).await {
        Ok(Examined::NoFile) => {
            let found = format!("there is no store yet: {name}");
            (
                vec![Check::Store.note(
                    found,
                    "`stoa serve` makes it; else STOA_DATA or DATABASE_URL is another's",
                )],
                None,
            )
        }
        Ok(Examined::Sqlite(file)) => (sqlite(&name, &file), None),
        Ok(Examined::Postgres(server)) => {
            let told = told(&server, asked);
            (
                postgres(&name, &server, config.database.pool_size, config.webhooks.all().len()),
                Some(told),
            )
        }
        Err(error) => {
            let advice = if config.database.is_shared() {
                "look whether Postgres runs (`pg_isready`), and at host, user, password and database in DATABASE_URL; its \
                 pg_hba.conf says who is let in"
            } else {
                "look whether the file is the store (DATABASE_URL, STOA_DATA) and can be read; put a backup back where \
                 it is broken: stop the server, remove stoa.db-wal and stoa.db-shm, copy the backup to stoa.db"
            };
            (vec![Check::Store.problem(format!("{name}: {error}"), advice)], None)
        }
    }
}

/// Its clock was read somewhere between the question and now.
fn told(server: &PostgresExamined, asked: Timestamp) -> Told {
    let here = Clock::system().now();
    Told { whose: "Postgres".to_owned(), there: server.now, here, within: asked.until(here) }
}

fn sqlite(name: &str, file: &SqliteExamined) -> Vec<Finding> {
    let mut found = vec![schema(&format!("{name} ({})", size(file.bytes)), file.schema)];
    match &file.damage {
        Some(damage) if damage.is_empty() => {}
        Some(damage) => found.push(Check::Store.problem(
            format!("the file is broken: {}", damage.join("; ")),
            "stop the server, keep the file aside, put the last backup back (docs/operating.md, Backups); then look at \
             the disk",
        )),
        None => found.push(Check::Store.note(
            "the file was not looked through, as it is large or its log was left alone",
            "`stoa backup FILE` reads all of it, and fails where it is broken",
        )),
    }
    if file.log_bytes > LONG_LOG {
        found.push(Check::Store.warning(
            format!("its log (stoa.db-wal) has {}", size(file.log_bytes)),
            "something else reads the file for long, so that the log can't be folded in: `lsof` on it says who",
        ));
    }
    found
}

fn postgres(
    name: &str,
    server: &PostgresExamined,
    pool_size: u32,
    webhooks: usize,
) -> Vec<Finding> {
    let answers =
        format!("{name} ({}, answers in {} ms)", server.version, server.round_trip.as_millis());
    let mut found = vec![schema(&answers, server.schema)];
    if server.version_number < OLDEST {
        found.push(Check::Store.problem(
            format!("this is Postgres {}", server.version),
            "Stoa needs Postgres 15 or newer",
        ));
    }
    if server.is_standby {
        found.push(Check::Store.problem(
            "this Postgres follows another, and takes no writes",
            "name the one that it follows in DATABASE_URL",
        ));
    } else if !server.may_create {
        found.push(Check::Store.problem(
            "this user may not make tables there",
            "GRANT CREATE, USAGE ON SCHEMA public TO the user in DATABASE_URL, or let it own the database",
        ));
    }
    if server.round_trip > SLOW {
        found.push(Check::Store.warning(
            format!("Postgres takes {} ms to answer", server.round_trip.as_millis()),
            "each write waits for some answers of it: have both in one place",
        ));
    }
    found.push(connections(server, pool_size, webhooks));
    found
}

/// The sum of docs/operating.md, for this server and one more while a new version comes.
fn connections(server: &PostgresExamined, pool_size: u32, webhooks: usize) -> Finding {
    let webhooks = i64::try_from(webhooks).unwrap_or(i64::MAX);
    let one = i64::from(pool_size) * 5 / 2 + 5 + webhooks;
    let PostgresExamined { max_connections: most, connections: now, .. } = server;
    let found =
        format!("Postgres gives {most} connections, and has {now}; a server takes up to {one}");
    let advice = "raise max_connections in postgresql.conf, or lower STOA_DATABASE__POOL_SIZE: it has to be enough for \
                  all servers and one more while a new version comes";
    if *most < one {
        Check::Store.problem(found, advice)
    } else if *most < 2 * one || most - now < one {
        Check::Store.warning(found, advice)
    } else {
        Check::Store.ok(found)
    }
}

fn schema(what: &str, schema: Schema) -> Finding {
    match schema {
        Schema::Current => Check::Store.ok(format!("{what} is of this version")),
        Schema::Absent => Check::Store.note(
            format!("{what} has no tables yet"),
            "`stoa serve` makes them; if it should have some, DATABASE_URL or STOA_DATA is another's",
        ),
        Schema::Older { newest, known } => Check::Store.note(
            format!("{what} is of an older version ({newest}, and this is {known})"),
            "`stoa serve` brings it up to date, and `stoa migrate` does before; take a backup first",
        ),
        Schema::Newer(newest) => Check::Store.note(
            format!("{what} is of a newer version ({newest}), which only added to it"),
            "this one works with it; export and import need that version's stoa",
        ),
        Schema::Changed(version) => Check::Store.problem(
            format!("{what} was made by another build: migration {version} is another there"),
            "take the stoa that made it; this one refuses to start",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Level, *};

    fn server() -> PostgresExamined {
        PostgresExamined {
            schema: Schema::Current,
            version: "16.1".to_owned(),
            version_number: 160_001,
            max_connections: 97,
            connections: 10,
            may_create: true,
            is_standby: false,
            now: Timestamp::from_millis(0),
            round_trip: Duration::from_millis(1),
        }
    }

    fn worst(server: &PostgresExamined) -> (Level, String) {
        let found = postgres("Postgres", server, 8, 1);
        let worst = found.into_iter().max_by_key(|finding| finding.level as u8).unwrap();
        (worst.level, worst.found)
    }

    #[test]
    fn connections_are_to_be_enough_for_one_server_more() {
        // 2.5 × 8 + 5 + 1.
        for (most, now, level) in [
            (97, 10, Level::Ok),
            (52, 26, Level::Ok),
            (51, 0, Level::Warning),
            (97, 72, Level::Warning),
            (25, 0, Level::Problem),
        ] {
            let server = PostgresExamined { max_connections: most, connections: now, ..server() };
            assert_eq!(worst(&server).0, level, "{most} {now}");
        }
    }

    #[test]
    fn a_postgres_that_can_not_serve_is_a_problem() {
        type Spoil = fn(&mut PostgresExamined);
        assert_eq!(worst(&server()).0, Level::Ok);
        let cases: [(&str, Level, Spoil); 5] = [
            ("Postgres 14.2", Level::Problem, |server| {
                (server.version, server.version_number) = ("14.2".to_owned(), 140_002);
            }),
            ("follows another", Level::Problem, |server| server.is_standby = true),
            ("may not make tables", Level::Problem, |server| server.may_create = false),
            ("takes 30 ms", Level::Warning, |server| server.round_trip = Duration::from_millis(30)),
            ("another build", Level::Problem, |server| server.schema = Schema::Changed(3)),
        ];
        for (says, level, spoil) in cases {
            let mut server = server();
            spoil(&mut server);
            let (found, said) = worst(&server);
            assert!(found == level && said.contains(says), "{said}");
        }
    }

    #[test]
    fn a_file_that_is_broken_or_grows_is_told_of() {
        let file = |damage, log_bytes| SqliteExamined {
            schema: Schema::Current,
            bytes: 4096,
            log_bytes,
            damage,
        };
        let levels = |file: &SqliteExamined| -> Vec<Level> {
            sqlite("SQLite", file).iter().map(|found| found.level).collect()
        };
        assert_eq!(levels(&file(Some(Vec::new()), 0)), [Level::Ok]);
        assert_eq!(levels(&file(None, 0)), [Level::Ok, Level::Note]);
        assert_eq!(
            levels(&file(Some(vec!["row 3 missing".to_owned()]), 0)),
            [Level::Ok, Level::Problem]
        );
        assert_eq!(levels(&file(Some(Vec::new()), LONG_LOG + 1)), [Level::Ok, Level::Warning]);
    }
}
