//! The store: the same tests on SQLite and on Postgres, and what only one of them can go through.

mod both;
mod engine;
mod older;
mod outage;
mod sqlite;
