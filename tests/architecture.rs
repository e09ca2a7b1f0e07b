//! The house keeps its plan: who may use whom, and what is said in one place only.

mod circles;
mod citations;
mod furniture;
mod lock;
pub mod page;
pub mod source;

use std::collections::BTreeSet;

use proc_macro2::Delimiter;

use source::{Source, Token};

/// Each module's floor. A module may use those on the floors below its own.
const FLOORS: [(&str, u8); 45] = [
    ("config", 0),
    ("error", 0),
    ("event", 0),
    ("clock", 0),
    ("control", 0),
    ("id", 0),
    ("log_limit", 0),
    ("metrics", 0),
    ("money", 0),
    ("notice", 0),
    ("origin", 0),
    ("outgoing", 0),
    ("room", 0),
    ("signature", 0),
    ("stream", 0),
    ("text", 0),
    ("tasks", 1),
    ("traces", 1),
    ("auth", 2),
    ("batch", 2),
    ("cluster", 2),
    ("db", 2),
    ("rest", 2),
    ("limits", 2),
    ("idempotency", 3),
    ("personal", 3),
    ("moving", 4),
    ("realtime", 4),
    ("presence", 5),
    ("access", 5),
    ("users", 5),
    ("notifications", 5),
    ("points", 5),
    ("chat", 6),
    ("marketplace", 6),
    ("proxy", 6),
    ("bridge", 6),
    ("payments", 7),
    ("webhooks", 7),
    ("accounts", 7),
    ("admin", 8),
    ("import", 8),
    ("observe", 8),
    ("app", 9),
    ("cli", 10),
];

/// The ground floor's own stairs: origins, patterns of events, where backends are and what is signed with
/// are configured; what goes there is signed; a room's name has an id in it and belongs to a dialect; a
/// stream is named like a room, and what is kept in it is an event to rooms, with its time. A notice is
/// such an event, and so is what processes say to each other. Traces are sent by a task.
const NEIGHBOURS: [(&str, &str); 21] = [
    ("config", "event"),
    ("config", "origin"),
    ("config", "outgoing"),
    ("config", "signature"),
    ("control", "event"),
    ("control", "id"),
    ("control", "room"),
    ("control", "stream"),
    ("notice", "clock"),
    ("notice", "event"),
    ("notice", "id"),
    ("notice", "room"),
    ("notice", "stream"),
    ("outgoing", "signature"),
    ("room", "event"),
    ("room", "id"),
    ("stream", "clock"),
    ("stream", "event"),
    ("stream", "id"),
    ("stream", "room"),
    ("traces", "tasks"),
];

/// Macros of the crate's root, named like modules.
const ROOT_MACROS: [&str; 3] = ["events", "failures", "params"];

/// Over this many lines something wants to move out.
const MAX_LINES: usize = 500;

/// How SQL begins.
const SQL: [&str; 14] = [
    "ALTER ",
    "BEGIN",
    "COMMIT",
    "CREATE ",
    "DELETE FROM ",
    "DROP ",
    "INSERT ",
    "PRAGMA ",
    "RELEASE ",
    "ROLLBACK",
    "SAVEPOINT ",
    "SELECT ",
    "UPDATE ",
    "WITH ",
];

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

fn floors(source: &Source) -> Vec<String> {
    let module = source.module();
    if ["lib", "main"].contains(&module) {
        return Vec::new();
    }
    let Some(own) = floor(module) else {
        return vec![format!("{}: {module} has no floor in tests/architecture.rs", source.at(1))];
    };
    let mut wrong = Vec::new();
    for (name, line) in source.used() {
        if name == module || ROOT_MACROS.contains(&name.as_str()) {
            continue;
        }
        let allowed = floor(&name).is_some_and(|used| used < own)
            || NEIGHBOURS.contains(&(module, name.as_str()));
        if !allowed {
            wrong.push(format!("{}: {module} may not use {name}", source.at(line)));
        }
    }
    let up = [Token::Name("super".into()), Token::Mark(':'), Token::Mark(':')];
    for line in source.lines_with(&[&up[..], &up[..]].concat()) {
        wrong.push(format!("{}: write crate:: for super::super::", source.at(line)));
    }
    wrong
}

fn opening(source: &Source) -> Vec<String> {
    let opens = source.text.starts_with("//! ");
    let wrong = format!("{}: the file does not open with //!", source.at(1));
    if opens { Vec::new() } else { vec![wrong] }
}

fn length(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let wrong = format!("{}: {lines} lines, more than {MAX_LINES}", source.at(1));
    if lines > MAX_LINES { vec![wrong] } else { Vec::new() }
}

/// What goes to sockets goes through `src/realtime/`: elsewhere nobody calls the engine's `emit`.
fn engine_emits(source: &Source) -> Vec<String> {
    if source.module() == "realtime" || !source.names("socketioxide") {
        return Vec::new();
    }
    let run =
        [Token::Mark('.'), Token::Name("emit".to_owned()), Token::Open(Delimiter::Parenthesis)];
    let lines = source.lines_with(&run).into_iter();
    lines.map(|line| format!("{}: emit past the emitter", source.at(line))).collect()
}

/// Every task has a name, an end, and somebody who notes its panic: it begins in `src/tasks.rs`.
fn untracked(source: &Source) -> Vec<String> {
    if source.path == "tasks.rs" || source.path.starts_with("realtime/tests/") {
        return Vec::new();
    }
    let name = |name: &str| Token::Name(name.to_owned());
    let path = |module: &str, function: &str| {
        vec![name(module), Token::Mark(':'), Token::Mark(':'), name(function)]
    };
    let runs = [
        path("tokio", "spawn"),
        path("task", "spawn"),
        path("task", "spawn_local"),
        vec![name("JoinSet")],
        vec![name("TaskTracker")],
        vec![Token::Open(Delimiter::Brace), name("spawn")],
        vec![Token::Mark(','), name("spawn"), Token::Mark(',')],
        vec![name("runtime"), Token::Mark('.'), name("spawn")],
        vec![name("handle"), Token::Mark('.'), name("spawn")],
    ];
    let is_tokio = source.names("tokio");
    let lines = runs.iter().filter(|_| is_tokio).flat_map(|run| source.lines_with(run));
    lines.map(|line| format!("{}: a task outside of src/tasks.rs", source.at(line))).collect()
}

fn sql(source: &Source) -> Vec<String> {
    if source.module() == "db" || source.file() == "store.rs" || source.path.contains("/store/") {
        return Vec::new();
    }
    let is_sql = |text: &str| SQL.iter().any(|verb| text.trim_start().starts_with(verb));
    let found = source.texts().filter(|(text, _)| is_sql(text));
    found.map(|(_, line)| format!("{}: SQL outside of a store", source.at(line))).collect()
}

/// The names that the rooms declare in `events.rs` or `events/`: `CONSTANT: "name"`.
fn catalogue(sources: &[Source]) -> BTreeSet<String> {
    let files = sources.iter().filter(|source| source.declares_events());
    files
        .flat_map(|source| source.tokens.windows(3))
        .filter_map(|window| match window {
            [(Token::Name(_), _), (Token::Mark(':'), _), (Token::Text(name), _)] => Some(name),
            _ => None,
        })
        .cloned()
        .collect()
}

/// A name that is also an ordinary word (`error`) says nothing.
fn event_names(source: &Source, catalogue: &BTreeSet<String>) -> Vec<String> {
    if source.declares_events() {
        return Vec::new();
    }
    let found =
        source.texts().filter(|(text, _)| text.contains(['-', ':']) && catalogue.contains(*text));
    found.map(|(text, line)| format!("{}: {text} outside of events.rs", source.at(line))).collect()
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

fn check(rule: impl Fn(&Source) -> Vec<String>) {
    assert_none(&Source::all().iter().flat_map(rule).collect::<Vec<_>>());
}

/// One finding of a rule on a bad sample, and none on a good one.
fn catches(rule: impl Fn(&Source) -> Vec<String>, path: &str, bad: &str, good: &str) {
    assert_eq!(rule(&Source::new(path, bad)).len(), 1, "{bad}");
    assert_none(&rule(&Source::new(path, good)));
}

#[test]
fn a_module_uses_the_floors_below_it() {
    check(floors);
    catches(floors, "chat/mod.rs", "use crate::marketplace::X;", "use crate::{presence, id::Id};");
    catches(floors, "access/mod.rs", "use crate::{id::Id, presence};", "use crate::realtime::Y;");
    catches(floors, "auth/keys.rs", "fn f() { crate::realtime::g() }", "use crate::auth::Keys;");
    catches(floors, "clock.rs", "use super::id::Id;", "use std::time::Duration;");
    catches(floors, "chat/http/a.rs", "use super::super::model;", "use super::model;");
    catches(floors, "payments/mod.rs", "use crate::accounts;", "use crate::marketplace::Z;");
    assert_eq!(floors(&Source::new("helpers.rs", "")).len(), 1, "a module without a floor");
}

#[test]
fn every_file_says_what_it_is() {
    check(opening);
    catches(opening, "id.rs", "use std::fmt;", "//! Ids.\nuse std::fmt;");
}

#[test]
fn no_file_is_longer_than_500_lines() {
    check(length);
    catches(length, "id.rs", &"\n".repeat(501), &"\n".repeat(500));
}

#[test]
fn only_realtime_emits_through_the_engine() {
    check(engine_emits);
    let bad = "use socketioxide::extract::SocketRef; fn f(s: SocketRef) { s.emit(\"a\", &1); }";
    catches(engine_emits, "chat/socket.rs", bad, "fn f(e: Emitter) { e.emit(EVENT, &1); }");
    catches(engine_emits, "app/mod.rs", bad, "use socketioxide::SocketIo;");
    assert_none(&engine_emits(&Source::new("realtime/hub.rs", bad)));
}

#[test]
fn every_task_begins_in_one_place() {
    check(untracked);
    let good = "fn f(tasks: &Tasks) { tasks.spawn(\"a\", tokio::time::sleep(A)); }";
    for bad in [
        "fn f() { tokio::spawn(g()); }",
        "use tokio::task; fn f() { task::spawn(g()); }",
        "use tokio::task::JoinSet;",
        "use tokio_util::task::TaskTracker; use tokio::net;",
        "use tokio::{spawn, net};",
        "use tokio::runtime::Handle; fn f(runtime: Handle) { runtime.spawn(g()); }",
    ] {
        catches(untracked, "chat/typing.rs", bad, good);
        assert_none(&untracked(&Source::new("tasks.rs", bad)));
    }
    catches(
        untracked,
        "db/mod.rs",
        "fn f() { tokio::spawn(g()); }",
        "#[cfg(test)] mod tests { fn f() { tokio::spawn(g()); } }",
    );
}

#[test]
fn sql_stands_in_stores_only() {
    check(sql);
    catches(sql, "chat/service.rs", r#"const Q: &str = "SELECT 1";"#, r#"f("select one");"#);
    let text = "const Q: &str = r\"\n UPDATE streams SET seq = 1\";";
    catches(sql, "chat/http.rs", text, "// SELECT 1\nfn f() {}");
    assert_none(&sql(&Source::new("chat/store.rs", text)));
}

#[test]
fn event_names_stand_in_events_rs_only() {
    let sources = Source::all();
    let names = catalogue(&sources);
    assert!(names.len() > 60, "the declarations were not found: {names:?}");
    check(|source| event_names(source, &names));
    let declared = r#"events! { /// A.
        NEW: "message:new", Both; /// B.
        ERROR: "error", Both; }"#;
    let names = catalogue(&[Source::new("chat/events.rs", declared)]);
    assert_eq!(names.iter().collect::<Vec<_>>(), ["error", "message:new"]);
    let rule = |source: &Source| event_names(source, &names);
    catches(rule, "chat/socket.rs", r#"f("message:new");"#, r#"f("message:newer", "error");"#);
    assert_none(&rule(&Source::new("chat/events.rs", declared)));
}
