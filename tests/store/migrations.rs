//! What was stored before a migration is counted and ordered after it as if it had always been
//! there.

use std::{fs, path::Path};

use rusqlite::Connection;
use sqlx::{AssertSqlSafe, Connection as _, Executor, PgConnection, Row as _};

use stoa::{app::App, clock::Clock};

use crate::support::{TestApp, postgres::Postgres};

/// A market and two conversations, as they stood before lists were kept.
const BEFORE: &str = "
    INSERT INTO conversations
        (id, kind, metadata, created_by, created_at, messages, last_activity_at)
    VALUES ('c1', 'group', 'null', 'bob', 1, 5, 50), ('c2', 'group', 'null', 'bob', 2, 0, 2);
    INSERT INTO participants (conversation_id, user_id, joined_at, last_read)
    VALUES ('c1', 'cat', 3, 2), ('c1', 'bob', 1, 0), ('c1', 'ann', 1, 5), ('c2', 'bob', 2, 0);
    INSERT INTO messages (id, conversation_id, ordinal, sender_id, attachments, created_at)
    VALUES ('m1', 'c1', 1, 'bob', '[]', 10), ('m2', 'c1', 2, 'ann', '[]', 20),
        ('m3', 'c1', 3, 'bob', '[]', 30), ('m4', 'c1', 4, 'bob', '[]', 40),
        ('m5', 'c1', 5, 'ann', '[]', 50);
    INSERT INTO purchase_requests
        (id, buyer_id, title, description, budget_amount, budget_currency, metadata, status,
         code_tries, created_at, updated_at)
    VALUES ('r1', 'bob', 't', 'd', '1', 'USD', 'null', 'open', 0, 1, 1),
        ('r2', 'cat', 't', 'd', '1', 'USD', 'null', 'cancelled', 0, 1, 1);
    INSERT INTO offers
        (id, request_id, seller_id, amount, currency, status, created_at, updated_at)
    VALUES ('o1', 'r1', 'sam', '1', 'USD', 'pending', 1, 1),
        ('o2', 'r2', 'sam', '1', 'USD', 'pending', 1, 1),
        ('o3', 'r2', 'sue', '1', 'USD', 'withdrawn', 1, 1);";

/// What is to be there afterwards: a query, and its rows.
const AFTER: [(&str, &[&str]); 5] = [
    (
        "SELECT id || ' ' || participants || ' ' || listed_at FROM conversations ORDER BY id",
        &["c1 3 50", "c2 1 2"],
    ),
    (
        "SELECT conversation_id || ' ' || place || ' ' || user_id || ' ' || listed_at
         FROM participants ORDER BY conversation_id, place",
        &["c1 1 ann 50", "c1 2 bob 50", "c1 3 cat 50", "c2 1 bob 2"],
    ),
    (
        "SELECT sender_id || ' ' || sender_ordinal || ' ' || sender_previous FROM messages
         ORDER BY ordinal",
        &["bob 1 0", "ann 1 0", "bob 2 1", "bob 3 3", "ann 2 2"],
    ),
    (
        "SELECT user_id || ' ' || sent || ' ' || last_sent || ' ' || read_sent FROM participants
         WHERE conversation_id = 'c1' ORDER BY user_id",
        &["ann 2 5 2", "bob 3 4 0", "cat 0 0 0"],
    ),
    (
        "SELECT id || ' ' || buyer_id || ' ' || called_off FROM offers ORDER BY id",
        &["o1 bob 0", "o2 cat 1", "o3 cat 0"],
    ),
];

/// Conversations of which some left and came back before it was kept who wrote where: `bob` is in `c1`
/// for the second time, `ann` left it twice, `cat` is in it and wrote nothing since she came back.
const WROTE: &str = "
    INSERT INTO conversations
        (id, kind, metadata, created_by, created_at, messages, last_activity_at)
    VALUES ('c1', 'group', 'null', 'bob', 1, 9, 50), ('c2', 'group', 'null', 'bob', 2, 1, 2);
    INSERT INTO participants
        (conversation_id, user_id, joined_at, last_read, joined_seq, place, sent, last_sent)
    VALUES ('c1', 'cat', 3, 2, 0, 1, 0, 0), ('c1', 'bob', 1, 0, 0, 2, 2, 9),
        ('c2', 'bob', 2, 0, 0, 1, 1, 1);
    INSERT INTO messages
        (id, conversation_id, ordinal, sender_id, attachments, created_at, sender_ordinal,
         sender_previous)
    VALUES ('m1', 'c1', 1, 'bob', '[]', 10, 1, 0), ('m2', 'c1', 2, 'ann', '[]', 20, 1, 0),
        ('m3', 'c1', 3, 'bob', '[]', 30, 2, 1), ('m4', 'c1', 4, 'ann', '[]', 40, 2, 2),
        ('m5', 'c1', 5, 'ann', '[]', 50, 1, 0), ('m6', 'c1', 6, 'bob', '[]', 60, 1, 0),
        ('m7', 'c1', 7, 'cat', '[]', 70, 1, 0), ('m8', 'c1', 8, 'ann', '[]', 80, 2, 5),
        ('m9', 'c1', 9, 'bob', '[]', 90, 2, 6), ('n1', 'c2', 1, 'bob', '[]', 10, 1, 0);";

const WHO_WROTE: [(&str, &[&str]); 1] = [(
    "SELECT user_id || ' ' || conversation_id || ' ' || first_message || ' '
        || COALESCE(last_message, 0) FROM authorships
     ORDER BY user_id, conversation_id, first_message",
    &["ann c1 2 4", "ann c1 5 8", "bob c1 1 3", "bob c1 6 0", "bob c2 1 0", "cat c1 7 7"],
)];

/// A conversation whose events had all that they show of its messages: one that was edited, and one that
/// speaks of events.
const SHOWN: &str = r#"
    INSERT INTO conversations
        (id, kind, metadata, created_by, created_at, messages, last_activity_at)
    VALUES ('c1', 'group', 'null', 'bob', 1, 2, 20), ('c2', 'group', 'null', 'bob', 2, 0, 2);
    INSERT INTO messages (id, conversation_id, ordinal, sender_id, attachments, created_at)
    VALUES ('m1', 'c1', 1, 'bob', '[]', 10), ('m2', 'c1', 2, 'ann', '[]', 20);
    INSERT INTO reactions (message_id, user_id, emoji, created_at) VALUES ('m1', 'ann', 'x', 30);
    INSERT INTO events (stream, seq, wire, created_at, subject)
    VALUES
        ('conversation/c1', 1, '[{"event":"message:new"},{"event":"new-message"}]', 10, 'm1'),
        ('conversation/c1', 2, '[{"event":"message:edited","data":{"content":"\"event\":\"message:new\""}}]',
            15, 'm1'),
        ('conversation/c1', 3, '[{"event":"message:new"}]', 20, 'm2'),
        ('conversation/c1', 4, '[{"event":"message:reaction"}]', 30, NULL),
        ('user/bob', 1, '[{"event":"notification"}]', 30, 'm1');"#;

const NAMED: [(&str, &[&str]); 4] = [
    (
        "SELECT stream || ' ' || seq || ' ' || source || wire FROM events
         WHERE source IS NOT NULL ORDER BY stream, seq",
        &["conversation/c1 1 new m1", "conversation/c1 2 edited m1", "conversation/c1 3 new m2"],
    ),
    (
        "SELECT stream || ' ' || seq || ' ' || COALESCE(subject, '') || wire FROM events
         WHERE source IS NULL ORDER BY stream, seq",
        &[
            r#"conversation/c1 4 [{"event":"message:reaction"}]"#,
            r#"user/bob 1 m1[{"event":"notification"}]"#,
        ],
    ),
    (
        "SELECT id || ' ' || gone || ' ' || COALESCE(oldest_at, 0) FROM conversations ORDER BY id",
        &["c1 0 10", "c2 0 0"],
    ),
    (
        "SELECT m.id || ' ' || m.ordinal || ' ' || m.sender_id || ' ' || r.emoji
         FROM messages m JOIN reactions r ON r.message_id = m.id",
        &["m1 1 bob x"],
    ),
];

/// What a migration makes of what was there before: its name, that, and what is to be there then.
type Case = (&'static str, &'static str, &'static [(&'static str, &'static [&'static str])]);

const CASES: [Case; 3] = [
    ("_lists.sql", BEFORE, &AFTER),
    ("_authorships.sql", WROTE, &WHO_WROTE),
    ("_bytes.sql", SHOWN, &NAMED),
];

/// The texts of the migrations before one, and its own.
fn migrations(name: &str) -> (Vec<String>, String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let entries = fs::read_dir(folder).expect("the migrations");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a migration").path()).collect();
    paths.sort();
    let at = paths.iter().position(|path| path.to_string_lossy().ends_with(name));
    let text = |path| fs::read_to_string(path).expect("a migration");
    let at = at.expect("the migration");
    (paths[..at].iter().map(text).collect(), text(&paths[at]))
}

#[test]
fn what_was_stored_is_as_if_it_had_always_been_kept_on_sqlite() {
    for (name, stored, then) in CASES {
        let (before, migration) = migrations(name);
        let connection = Connection::open_in_memory().expect("a database");
        for sql in before.iter().map(String::as_str).chain([stored, &migration]) {
            connection.execute_batch(sql).expect("a migration");
        }
        for (query, expected) in then {
            let mut statement = connection.prepare(query).expect("a query");
            let rows = statement.query_map([], |row| row.get::<_, String>(0)).expect("rows");
            let rows: Vec<_> = rows.map(|row| row.expect("a row")).collect();
            assert_eq!(rows, *expected, "{name}: {query}");
        }
    }
}

#[tokio::test]
async fn what_was_stored_is_as_if_it_had_always_been_kept_on_postgres() {
    let server = Postgres::shared();
    for (name, stored, then) in CASES {
        let (before, migration) = migrations(name);
        let mut connection =
            PgConnection::connect(&server.database().await).await.expect("a server");
        for sql in before.into_iter().chain([stored.to_owned(), migration]) {
            let sql = sqlx::raw_sql(AssertSqlSafe(sql));
            sql.execute(&mut connection).await.expect("a migration");
        }
        for (query, expected) in then {
            let rows = connection.fetch_all(*query).await.expect("rows");
            let rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
            assert_eq!(rows, *expected, "{name}: {query}");
        }
    }
}

/// The last migration that may have taken something away: there was no version before it.
const FIRST_VERSION: &str = "0037";

#[test]
fn migrations_only_add_to_what_the_version_before_works_with() {
    let taking = ["DROP TABLE", "DROP COLUMN", "RENAME", "ALTER COLUMN", "DROP CONSTRAINT"];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    for entry in fs::read_dir(folder).expect("the migrations") {
        let path = entry.expect("a migration").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let sql = fs::read_to_string(&path).expect("a migration").to_uppercase();
        let takes = taking.iter().find(|words| sql.contains(**words));
        assert!(name[..4] <= *FIRST_VERSION || takes.is_none(), "{name}: {takes:?}");
    }
}

#[tokio::test]
async fn a_server_starts_beside_a_newer_schema_and_not_beside_a_changed_one() {
    let url = Postgres::shared().database().await;
    let mut same = None;
    let app = TestApp::with(|config| {
        config.database.url = Some(url.as_str().into());
        same = Some(config.clone());
    })
    .await;
    app.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'of tomorrow', TRUE, '\\x00', 0)",
    )
    .await;
    app.execute("ALTER TABLE messages ADD COLUMN of_tomorrow TEXT").await;
    let app = app.restart().await;
    let ann = app.user("ann").await;
    let talk = ann.group(&["bob"]).await;
    ann.say(&talk, "beside a newer one").await;
    app.execute("UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 1").await;
    let again = Box::pin(App::start(same.expect("its configuration"), Clock::system())).await;
    let refused = format!("{:#}", again.err().expect("a refusal"));
    assert!(refused.contains("migration 1"), "{refused}");
}
