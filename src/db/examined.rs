//! What a look at the store has found.

use std::time::Duration;

use super::migrations::Schema;
use crate::clock::Timestamp;

/// What was found.
#[derive(Debug)]
pub enum Examined {
    /// A file that a first start makes.
    NoFile,
    /// A file.
    Sqlite(SqliteExamined),
    /// A server.
    Postgres(PostgresExamined),
}

/// What was found of a file.
#[derive(Debug)]
pub struct SqliteExamined {
    /// How its tables stand to this version.
    pub schema: Schema,
    /// Bytes of it.
    pub bytes: u64,
    /// Bytes of the log beside it.
    pub log_bytes: u64,
    /// What is broken in it; none where it was not looked through, as it is too large.
    pub damage: Option<Vec<String>>,
}

/// What was found of a server.
#[derive(Debug)]
pub struct PostgresExamined {
    /// How the tables of the database stand to this version.
    pub schema: Schema,
    /// Its version, such as 15.4.
    pub version: String,
    /// The same as a number, such as 150004.
    pub version_number: i64,
    /// Connections that it gives to those who are not its superuser.
    pub max_connections: i64,
    /// Connections that it has.
    pub connections: i64,
    /// Whether tables may be made.
    pub may_create: bool,
    /// Whether it only reads: it follows another.
    pub is_standby: bool,
    /// What its clock said.
    pub now: Timestamp,
    /// From a question to its answer.
    pub round_trip: Duration,
}
