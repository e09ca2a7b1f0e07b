//! Every room is furnished as `src/lib.rs` says: a thing stands in its own file or folder, from the
//! ground up.

use super::{
    assert_none,
    circles::House,
    source::{Source, Token},
};

/// The rooms, with what is the subject of each alone and has a file of its own.
const ROOMS: [(&str, &[&str]); 13] = [
    ("access", &["grants"]),
    ("accounts", &["email", "passwords", "tokens"]),
    (
        "admin",
        &[
            "developer",
            "history",
            "instrument",
            "nodes",
            "playground",
            "sale",
            "secrets",
            "storage",
        ],
    ),
    ("bridge", &["message", "msgpack", "node", "python", "sockets"]),
    ("chat", &["between", "contacts", "emoji", "prune", "retold", "typing"]),
    ("marketplace", &["contacts", "moves", "paid", "sale"]),
    ("notifications", &["causes", "prune"]),
    ("payments", &["paid_for", "shkeeper", "transaction", "watch"]),
    ("points", &["levels"]),
    ("presence", &["announcer", "contacts", "nodes", "registry"]),
    ("proxy", &["answer", "backend", "breaker", "question"]),
    ("users", &["acting", "names"]),
    ("webhooks", &["courier", "delivery", "endpoint", "presence"]),
];

/// The furniture, from the ground up: each piece knows those on the steps below its own. What clients
/// see is one step: events show documents, and documents what events tell of.
const FURNITURE: [(&str, u8); 13] = [
    ("documents", 0),
    ("events", 0),
    ("requests", 1),
    ("announcements", 2),
    ("store", 2),
    ("happenings", 2),
    ("rights", 3),
    ("service", 4),
    ("http", 5),
    ("socket", 5),
    ("personal", 5),
    ("lines", 5),
    ("mod", 6),
];

/// How things are written that stand in one piece only.
const PLACES: [(&str, &str); 7] = [
    ("routes !", "http"),
    ("commands . on", "socket"),
    ("events !", "events"),
    ("DomainEvent for", "announcements"),
    ("PersonalData for", "personal"),
    ("Movable for", "lines"),
    ("Line for", "lines"),
];

/// What stands in no `mod.rs` of a room.
const ITEMS: [&str; 8] = ["const", "enum", "fn", "impl", "static", "struct", "trait", "type"];

/// The room and the piece that a file belongs to.
fn piece(path: &str) -> Option<(&str, &str)> {
    let (room, rest) = path.split_once('/')?;
    let piece = rest.split('/').next()?.trim_end_matches(".rs");
    ROOMS.iter().any(|(name, _)| *name == room).then_some((room, piece))
}

fn step(piece: &str) -> Option<u8> {
    FURNITURE.iter().find(|(name, _)| *name == piece).map(|(_, step)| *step)
}

/// What is neither furniture nor a room's own.
fn strangers(source: &Source) -> Vec<String> {
    let Some((room, piece)) = piece(&source.path) else { return Vec::new() };
    let own =
        ROOMS.iter().find(|(name, _)| *name == room).is_some_and(|(_, own)| own.contains(&piece));
    let wrong = format!(
        "{}: {piece} is no furniture of a room (src/lib.rs), nor its subject in tests/architecture/furniture.rs",
        source.at(1)
    );
    if own || step(piece).is_some() { Vec::new() } else { vec![wrong] }
}

/// What a room's `mod.rs` has beside its rooms and what it passes on.
fn items(source: &Source) -> Vec<String> {
    if !piece(&source.path)
        .is_some_and(|(room, piece)| piece == "mod" && source.path == format!("{room}/mod.rs"))
    {
        return Vec::new();
    }
    let found = source.tokens.iter().filter_map(|(token, line)| match token {
        Token::Name(name) if ITEMS.contains(&name.as_str()) => Some((name, *line)),
        _ => None,
    });
    let wrong = |(name, line): (&String, usize)| {
        format!(
            "{}: a room's mod.rs declares and passes on; this {name} has a piece of its own",
            source.at(line)
        )
    };
    found.map(wrong).collect()
}

/// Things outside of their piece.
fn misplaced(source: &Source) -> Vec<String> {
    let Some((_, piece)) = piece(&source.path) else { return Vec::new() };
    let mut wrong = Vec::new();
    for (written, place) in PLACES {
        if piece == place {
            continue;
        }
        let run: Vec<Token> = written
            .split(' ')
            .map(|part| match part {
                "!" | "." => Token::Mark(part.chars().next().expect("a mark")),
                name => Token::Name(name.to_owned()),
            })
            .collect();
        for line in source.lines_with(&run) {
            wrong.push(format!("{}: `{written}` stands in {place} only", source.at(line)));
        }
    }
    wrong
}

/// Pieces that know one which does not stand below them.
fn upside_down(house: &House) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, known) in house.arrows() {
        let Some((room, own)) = piece(path) else { continue };
        let Some(own_step) = step(own) else { continue };
        for (other, name) in known {
            let Some((of, other)) = piece(other) else { continue };
            let Some(other_step) = step(other).filter(|_| of == room && other != own) else {
                continue;
            };
            if other != "mod" && other_step >= own_step && own_step + other_step > 0 {
                wrong.push(format!("src/{path}: {own} may not know {name} of {other}"));
            }
        }
    }
    wrong
}

#[test]
fn every_room_has_the_same_furniture() {
    let sources = Source::all();
    let rules = [strangers, items, misplaced];
    let mut wrong: Vec<String> =
        sources.iter().flat_map(|source| rules.iter().flat_map(|rule| rule(source))).collect();
    wrong.extend(upside_down(&House::of(&sources)));
    assert_none(&wrong);
}

#[test]
fn what_is_out_of_its_place_is_found() {
    let source = Source::new;
    assert_eq!(strangers(&source("chat/manager.rs", "")).len(), 1);
    assert_eq!(strangers(&source("chat/emoji.rs", "")).len(), 0);
    assert_eq!(strangers(&source("points/emoji.rs", "")).len(), 1, "another room's");
    assert_eq!(strangers(&source("realtime/any.rs", "")).len(), 0, "no room of these");
    assert_eq!(items(&source("chat/mod.rs", "mod http; pub struct Chat;")).len(), 1);
    assert_eq!(items(&source("chat/mod.rs", "mod http; pub use http::routes;")).len(), 0);
    assert_eq!(items(&source("chat/http/mod.rs", "fn f() {}")).len(), 0);
    for (text, place) in [
        ("fn f() { r.routes(routes!(a)) }", "http"),
        ("fn f() { commands.on(A, a, b); }", "socket"),
        ("events! {}", "events"),
        ("impl DomainEvent for A {}", "announcements"),
        ("impl PersonalData for A {}", "personal"),
        ("impl Line for A {}", "lines"),
    ] {
        assert_eq!(misplaced(&source("chat/service/a.rs", text)).len(), 1, "{text}");
        assert_eq!(misplaced(&source(&format!("chat/{place}.rs"), text)).len(), 0, "{text}");
    }
    let found = |one: (&str, &str), other: &str| {
        let files = [one, (other, "pub struct B;")];
        upside_down(&House::of(&files.map(|(path, text)| source(path, text)))).len()
    };
    let service = "use crate::chat::service::B;";
    assert_eq!(found(("chat/store.rs", service), "chat/service.rs"), 1);
    assert_eq!(found(("chat/store/a.rs", service), "chat/service.rs"), 1);
    assert_eq!(found(("chat/http.rs", service), "chat/service.rs"), 0);
    assert_eq!(found(("chat/typing.rs", service), "chat/service.rs"), 0, "no furniture");
    assert_eq!(found(("chat/http.rs", "use super::socket::B;"), "chat/socket.rs"), 1, "beside it");
    assert_eq!(found(("chat/events.rs", "use super::documents::B;"), "chat/documents.rs"), 0);
}
