//! No statement costs more than what it is asked for: each SQL text of the source is explained by
//! both engines, and none may go through a table that grows, or sort more than a page.
//!
//! What a table holds decides which way Postgres takes; it is asked here whether there is a good one
//! at all (no scan, no sort, no hash where an index does). `make drill` measures with full tables.

use std::collections::BTreeSet;

use rusqlite::Connection;
use secrecy::ExposeSecret;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, Executor, PgConnection, Row as _};
use stoa::clock::Clock;

use super::engine::Store;
use crate::architecture::source::Source;

/// One row, one for each migration, one for each server of the last day, and one for each time that an operator restored a backup.
const SMALL: [&str; 7] = [
    "heartbeat",
    "migrations",
    "nodes",
    "positions",
    "positions_last_seq",
    "_sqlx_migrations",
    "restores",
];

const STATEMENTS: [&str; 5] = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "];

/// What Postgres does only when there is no other way.
const LAST_RESORTS: [&str; 5] =
    ["enable_seqscan", "enable_bitmapscan", "enable_sort", "enable_hashjoin", "enable_mergejoin"];

/// Every statement of the stores, with where it stands.
fn statements() -> Vec<(String, String)> {
    let sources = Source::all();
    // The tables that the engines keep for their migrations, what a server says of its own tables, and what it
    // asks of no table.
    let others = [
        "db/migrations.rs",
        "db/postgres/aside.rs",
        "db/postgres/examine.rs",
        "db/postgres/turn.rs",
        "db/tables.rs",
    ];
    let stores = sources.iter().filter(|source| !others.contains(&source.path.as_str()));
    let texts = stores.flat_map(|source| {
        source.texts().map(|(text, line)| (source.at(line), text.trim().to_owned()))
    });
    let is_statement =
        |text: &str| STATEMENTS.iter().any(|verb| text.starts_with(verb)) && text.len() > 12;
    let found: Vec<_> = texts.filter(|(_, text)| is_statement(text)).collect();
    assert!(found.len() > 80, "the statements were not found: {}", found.len());
    found
}

/// Whether a part of a statement that is named so is no longer than a page.
fn is_page(sql: &str, name: &str) -> bool {
    sql.match_indices(&format!(") AS {name}")).any(|(at, _)| {
        let last_clause = sql[..at].rsplit("LIMIT ").next().unwrap_or_default();
        last_clause.len() < sql[..at].len() && !last_clause.contains(char::is_whitespace)
    })
}

/// What is wrong with SQLite's plan of a statement.
fn wrong_on_sqlite(connection: &Connection, sql: &str) -> Vec<String> {
    let partial = |index: &str| {
        let partial = "SELECT COUNT(*) FROM sqlite_master WHERE name = ?1 AND sql LIKE '% WHERE %'";
        connection.query_row(partial, [index], |row| row.get::<_, i64>(0)).expect("an index") == 1
    };
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect(sql);
    let steps = statement.raw_query().mapped(|row| Ok((row.get::<_, i64>(1)?, row.get(3)?)));
    let steps: Vec<(i64, String)> = steps.map(|step| step.expect("a step")).collect();
    // A part of the statement is worked out for itself, then gone through.
    let parts = |name: &str| {
        ["CO-ROUTINE", "MATERIALIZE"]
            .iter()
            .any(|word| steps.iter().any(|(_, step)| *step == format!("{word} {name}")))
    };
    let mut wrong = Vec::new();
    for (parent, step) in &steps {
        let words: Vec<_> = step.split_whitespace().collect();
        let bad = match *words.as_slice() {
            ["SCAN", "CONSTANT", "ROW"] => false,
            ["SCAN", name] => !parts(name) && !SMALL.contains(&name),
            ["SCAN", _, "USING", .., index] => !partial(index),
            ["USE", "TEMP", ..] => {
                let beside = steps.iter().filter(|(of, _)| of == parent);
                let mut scanned = beside.filter_map(|(_, step)| step.strip_prefix("SCAN "));
                !scanned.next().is_some_and(|name| parts(name) && is_page(sql, name))
            }
            _ => step.contains("AUTOMATIC"),
        };
        if bad {
            wrong.push(step.clone());
        }
    }
    wrong
}

/// What is wrong with Postgres's plan, `plan` and what is below it.
fn wrong_on_postgres(plan: &Value, partial: &BTreeSet<String>) -> Vec<String> {
    fn walk(plan: &Value, limited: bool, check: &mut impl FnMut(&Value, bool)) {
        check(plan, limited);
        let limit = plan["Node Type"] == "Limit";
        for below in plan["Plans"].as_array().into_iter().flatten() {
            // What is worked out for each row of a plan is no part of what that plan sorts.
            let limited = limit || (limited && below["Parent Relationship"] == "Outer");
            walk(below, limited, check);
        }
    }
    let mut wrong = Vec::new();
    walk(plan, false, &mut |node, limited| {
        let text = |name: &str| node[name].as_str().unwrap_or_default();
        let small = SMALL.contains(&text("Relation Name"));
        let kind = text("Node Type");
        let all = kind == "Seq Scan"
            || (kind.starts_with("Index") && node["Index Cond"].is_null()) && {
                let first = limited && node["Filter"].is_null();
                !first && !partial.contains(text("Index Name"))
            };
        let gathers = kind.ends_with("Sort")
            || kind == "Unique"
            || (kind == "Aggregate" && node["Group Key"].is_array());
        let mut whole = false;
        if gathers {
            walk(node, false, &mut |below, limited| {
                whole |= below["Relation Name"].is_string() && !limited;
            });
        }
        if (all && !small) || whole {
            wrong.push(format!("{kind} {} {}", text("Relation Name"), text("Index Name")));
        }
    });
    wrong
}

/// The types of what a statement is asked of: those of the columns that are named so, in brackets.
async fn types_asked(connection: &mut PgConnection, sql: &str) -> String {
    const TYPE: &str = "
        SELECT MIN(data_type) FROM information_schema.columns
        WHERE table_schema = current_schema() AND column_name = $1
        HAVING COUNT(DISTINCT data_type) = 1";
    let names = sql.strip_prefix("WITH asked (").and_then(|rest| rest.split_once(')'));
    let Some((names, _)) = names else { return String::new() };
    let mut types = Vec::new();
    for name in names.split(", ") {
        let found = sqlx::query_scalar::<_, String>(TYPE).bind(name);
        types.push(found.fetch_one(&mut *connection).await.expect(sql));
    }
    format!("({})", types.join(", "))
}

async fn plan_of(connection: &mut PgConnection, sql: &str) -> Value {
    let params = (1..40).take_while(|n| sql.contains(&format!("${n}"))).count();
    let nulls =
        if params == 0 { String::new() } else { format!("({})", vec!["NULL"; params].join(", ")) };
    let types = types_asked(connection, sql).await;
    connection.execute(AssertSqlSafe(format!("PREPARE asked{types} AS {sql}"))).await.expect(sql);
    let explain = AssertSqlSafe(format!("EXPLAIN (FORMAT JSON) EXECUTE asked{nulls}"));
    let row = connection.fetch_one(explain).await.expect(sql);
    connection.execute("DEALLOCATE asked").await.expect("an end");
    let plan: Value = serde_json::from_str(row.get_unchecked::<&str, _>(0)).expect("a plan");
    plan[0]["Plan"].clone()
}

#[tokio::test]
async fn no_statement_goes_through_a_table_that_grows_or_sorts_it_on_sqlite() {
    let store = Store::sqlite(Clock::system()).await;
    let connection = Connection::open(store.folder.path().join("stoa.db")).expect("the file");
    let wrong = |sql: &str| wrong_on_sqlite(&connection, sql);
    let found: Vec<_> = statements()
        .iter()
        // It knows nothing of what the other engine is asked alone.
        .filter(|(at, _)| !at.contains("db/postgres/"))
        .flat_map(|(at, sql)| wrong(sql).into_iter().map(move |step| format!("{at}: {step}")))
        .collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
    for bad in BAD {
        assert!(!wrong(bad).is_empty(), "{bad}");
    }
    for good in GOOD {
        assert_eq!(wrong(good), [""; 0], "{good}");
    }
}

#[tokio::test]
async fn no_statement_goes_through_a_table_that_grows_or_sorts_it_on_postgres() {
    let store = Store::postgres(Clock::system()).await;
    let url = store.config.url.as_ref().expect("a URL").expose_secret();
    let mut connection = PgConnection::connect(url).await.expect("the server");
    connection.execute("SET plan_cache_mode = force_generic_plan").await.expect("a setting");
    for resort in LAST_RESORTS {
        let off = AssertSqlSafe(format!("SET {resort} = off"));
        connection.execute(off).await.expect("a setting");
    }
    let indexes = "SELECT indexname FROM pg_indexes WHERE indexdef LIKE '% WHERE %'";
    let indexes = connection.fetch_all(indexes).await.expect("the indexes");
    let partial: BTreeSet<String> = indexes.iter().map(|row| row.get(0)).collect();
    let mut found = Vec::new();
    for (at, sql) in statements() {
        let plan = plan_of(&mut connection, &sql).await;
        found.extend(wrong_on_postgres(&plan, &partial).iter().map(|step| format!("{at}: {step}")));
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
    for bad in BAD {
        let plan = plan_of(&mut connection, bad).await;
        assert!(!wrong_on_postgres(&plan, &partial).is_empty(), "{bad}: {plan:#}");
    }
    for good in GOOD {
        let plan = plan_of(&mut connection, good).await;
        assert_eq!(wrong_on_postgres(&plan, &partial), [""; 0], "{good}: {plan:#}");
    }
}

const BAD: [&str; 6] = [
    "SELECT * FROM messages WHERE content = $1",
    "SELECT id FROM messages ORDER BY created_at LIMIT 10",
    "SELECT * FROM messages WHERE conversation_id = $1 ORDER BY created_at LIMIT 10",
    "SELECT DISTINCT content FROM messages WHERE conversation_id = $1",
    "SELECT * FROM payments WHERE ($1 = '' OR buyer_id = $1) ORDER BY id DESC LIMIT 10",
    "DELETE FROM messages WHERE edited_at < $1",
];

const GOOD: [&str; 4] = [
    "SELECT * FROM messages WHERE id = $1",
    "SELECT MAX(id) AS last FROM payments",
    "SELECT * FROM messages WHERE conversation_id = $1 ORDER BY ordinal DESC LIMIT 10",
    "SELECT beat_at FROM heartbeat",
];
