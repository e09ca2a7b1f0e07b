//! The verbs of the command line, on the data of a test's server or on a folder of its own.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};
use tokio::runtime::Builder;

use crate::support::app::SECRET;

/// A verb with its arguments, on this folder or in this database.
pub fn command(data: &Path, database: Option<&str>, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stoa"));
    command.env_clear().current_dir(data).env("STOA_DATA", data).env("JWT_SECRET", SECRET);
    command.envs(database.map(|url| ("DATABASE_URL", url)));
    command.args(args).stdin(Stdio::null());
    command
}

/// What became of it.
#[derive(Debug)]
pub struct Done {
    pub is_well: bool,
    pub said: String,
    pub complained: String,
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Self {
            is_well: output.status.success(),
            said: text(output.stdout),
            complained: text(output.stderr),
        }
    }
}

impl Done {
    /// What a success said.
    pub fn ok(self) -> String {
        assert!(self.is_well, "{self:?}");
        self.said
    }

    /// What a failure complained of.
    pub fn failed(self) -> String {
        assert!(!self.is_well, "{self:?}");
        self.complained
    }
}

/// What an import said of all lines together; then it speaks of each type.
pub fn in_all(said: &str) -> &str {
    said.lines().next().unwrap_or_default()
}

/// Does it to its end.
pub fn run(data: &Path, database: Option<&str>, args: &[&str]) -> Done {
    command(data, database, args).output().expect("the verb").into()
}

/// Writes lines to a file of the folder, and takes them in.
pub fn import(data: &Path, database: Option<&str>, lines: &[Value]) -> Done {
    write(&data.join("lines.jsonl"), lines);
    run(data, database, &["import", "lines.jsonl"])
}

/// Begins to take them in.
pub fn begin_import(data: &Path, database: Option<&str>, file: &str) -> Child {
    let mut command = command(data, database, &["import", file]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the verb")
}

pub fn write(file: &Path, lines: &[Value]) {
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    fs::write(file, lines.join("\n")).expect("a file");
}

/// All that is told, in one order.
pub fn exported(data: &Path, database: Option<&str>) -> Vec<String> {
    let told = run(data, database, &["export"]).ok();
    let mut lines: Vec<String> = told.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The number that a query gives now in a store that somebody may just be making.
pub fn count(data: &Path, database: Option<&str>, sql: &'static str) -> Option<i64> {
    let Some(url) = database.map(str::to_owned) else {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let db = Connection::open_with_flags(data.join("stoa.db"), flags).ok()?;
        return db.query_row(sql, [], |row| row.get(0)).ok();
    };
    // It has a runtime of its own, since the test's waits for this.
    let asked = std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut connection = PgConnection::connect(&url).await.ok()?;
            let row = connection.fetch_one(sql).await.ok()?;
            row.try_get(0).ok()
        })
    });
    asked.join().expect("an answer")
}

/// A conversation of these two.
pub fn conversation(id: &str, people: &[&str]) -> Value {
    let participants: Vec<Value> = people.iter().map(|user| json!({ "userId": user })).collect();
    json!({
        "type": "conversation", "id": id, "createdBy": people[0],
        "createdAt": "2020-05-01T10:00:00Z", "participants": participants,
    })
}

/// A message, written so many seconds after ten.
pub fn message(id: &str, conversation: &str, sender: &str, second: u32) -> Value {
    let (minute, second) = (second / 60, second % 60);
    json!({
        "type": "message", "id": id, "conversationId": conversation, "senderId": sender,
        "content": format!("{id} says hello"),
        "createdAt": format!("2020-05-01T10:{minute:02}:{second:02}.000Z"),
    })
}
