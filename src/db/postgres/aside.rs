//! A copy of a database that one session alone sees: temporary tables, which the migrations make, with
//! what is in the real ones. What is tried on it locks and writes nothing of these, and ends with the
//! session.

use std::collections::BTreeSet;

use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool, Postgres as Engine,
    Row as _,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::db::{Error, Kind, Result, migrations, opening::Opening};

/// Where a session's own tables are. Nothing is looked for elsewhere: were the session lost, its tables
/// would not be found, and the real ones not either.
const OWN: (&str, &str) = ("search_path", "pg_temp");

/// Tables that no line of a file is about, and that may have much in them.
const LEFT_OUT: [&str; 6] = [
    "_sqlx_migrations",
    "events",
    "idempotency_keys",
    "session_rooms",
    "sessions",
    "shared_events",
];

/// A pool of the one session that has the copy.
pub(super) async fn open(
    real: &PgConnectOptions,
    settings: PgPoolOptions,
    options: PgConnectOptions,
) -> Result<PgPool> {
    let mut connection = PgConnection::connect_with(real).await?;
    let schema = schema(&mut connection).await?;
    if schema.is_some() {
        migrations::postgres_as_it_is(&mut connection).await?;
    } else {
        tracing::info!("there is no store yet: an empty one is tried");
    }
    connection.close().await?;
    let settings = settings.max_connections(1).max_lifetime(None).idle_timeout(None);
    let pool = settings.connect_lazy_with(options.options([OWN]));
    let mut session = pool.acquire().await?;
    migrations::postgres(&mut session, Opening::Aside).await?;
    if let Some(schema) = schema {
        fill(&mut session, &schema).await?;
    }
    Ok(pool)
}

/// The schema that has the real tables.
async fn schema(connection: &mut PgConnection) -> Result<Option<String>> {
    const SCHEMA: &str = "
        SELECT n.nspname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.oid = to_regclass('_sqlx_migrations')";
    Ok(sqlx::query_scalar(SCHEMA).fetch_optional(connection).await?)
}

/// Copies what is in the real tables, all of it at one moment, however long that takes.
async fn fill(session: &mut PoolConnection<Engine>, schema: &str) -> Result<()> {
    const AT_ONE_MOMENT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ";
    const PATIENTLY: &str = "SET LOCAL statement_timeout = 0";
    let mut copying = session.begin_with(AT_ONE_MOMENT).await?;
    copying.execute(PATIENTLY).await?;
    let tables = tables(&mut copying).await?;
    // The migrations may have begun some of them.
    let all = tables.iter().map(|table| quoted(table)).collect::<Vec<_>>().join(", ");
    copying.execute(AssertSqlSafe(format!("TRUNCATE {all}"))).await?;
    for table in tables.iter().filter(|table| !LEFT_OUT.contains(&table.as_str())) {
        let (schema, table) = (quoted(schema), quoted(table));
        let copy = format!("INSERT INTO {table} SELECT * FROM {schema}.{table}");
        copying.execute(AssertSqlSafe(copy)).await?;
        // Nobody else looks after them.
        copying.execute(AssertSqlSafe(format!("ANALYZE {table}"))).await?;
    }
    Ok(copying.commit().await?)
}

/// The session's own tables, each after those that it refers to.
async fn tables(connection: &mut PgConnection) -> Result<Vec<String>> {
    const TABLES: &str = "
        SELECT c.relname::text AS name, ARRAY(
            SELECT f.relname::text FROM pg_constraint k JOIN pg_class f ON f.oid = k.confrelid
            WHERE k.conrelid = c.oid AND k.contype = 'f' AND f.oid <> c.oid) AS needs
        FROM pg_class c WHERE c.relnamespace = pg_my_temp_schema() AND c.relkind = 'r'";
    let rows = connection.fetch_all(TABLES).await?;
    let tables = rows.iter().map(|row| Ok((row.try_get("name")?, row.try_get("needs")?)));
    let mut left: Vec<(String, Vec<String>)> = tables.collect::<sqlx::Result<_>>()?;
    let (mut ordered, mut known) = (Vec::with_capacity(left.len()), BTreeSet::new());
    while !left.is_empty() {
        let before = ordered.len();
        left.retain(|(table, needs)| {
            let is_next = needs.iter().all(|need| known.contains(need));
            if is_next {
                ordered.push(table.clone());
            }
            !is_next
        });
        if ordered.len() == before {
            return Err(Error::new(Kind::Other, "tables refer to each other in a circle"));
        }
        known.extend(ordered[before..].iter().cloned());
    }
    Ok(ordered)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
