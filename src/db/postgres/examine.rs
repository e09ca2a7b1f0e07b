//! A look at a server from outside: one connection, and nothing is locked or written.

use std::time::Instant;

use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};

use crate::{
    clock::Timestamp,
    db::{PostgresExamined, Result, migrations},
};

/// Version and its number, connections that others than the superuser may have and that there are, whether
/// tables may be made, whether it follows another, and its time in milliseconds.
const STATE: &str = "
    SELECT current_setting('server_version'),
        CAST(current_setting('server_version_num') AS BIGINT),
        CAST(current_setting('max_connections') AS BIGINT)
            - CAST(current_setting('superuser_reserved_connections') AS BIGINT),
        (SELECT COUNT(*) FROM pg_stat_activity WHERE datid IS NOT NULL),
        COALESCE(has_schema_privilege(current_schema(), 'CREATE'), FALSE),
        pg_is_in_recovery(),
        CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";

/// Looks at a database.
pub(super) async fn look(options: &PgConnectOptions) -> Result<PostgresExamined> {
    let mut connection = PgConnection::connect_with(options).await?;
    let asked = Instant::now();
    connection.ping().await?;
    let round_trip = asked.elapsed();
    let state: (String, i64, i64, i64, bool, bool, i64) =
        sqlx::query_as(STATE).fetch_one(&mut connection).await?;
    let (version, version_number, max_connections, connections, may_create, is_standby, now) =
        state;
    let schema = migrations::postgres_schema(&mut connection).await?;
    connection.close().await?;
    Ok(PostgresExamined {
        schema,
        version,
        version_number,
        max_connections,
        connections: connections - 1,
        may_create,
        is_standby,
        now: Timestamp::from_millis(now),
        round_trip,
    })
}
