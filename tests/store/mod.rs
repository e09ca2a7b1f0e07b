//! The store: the same tests on SQLite and on Postgres, and what only one of them can go through.

/// Each test on both engines. Time stands still in them until a test moves it.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {
            use super::{Store, clock};
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(Store::sqlite(clock()).await).await;
            })+
        }
        mod on_postgres {
            use super::{Store, clock};
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(Store::postgres(clock()).await).await;
            })+
        }
    };
}

mod backups;
mod both;
mod doubt;
pub mod engine;
mod fair;
mod migrations;
mod older;
mod outage;
mod plans;
mod space;
mod sqlite;
mod tail;
