//! Files that know each other in a circle: there are none.
//!
//! A file knows another when it names something that stands there, by whatever way: `use` lines,
//! paths in bodies, names that a third file passes on. Passing on (`pub use`) is not knowing, and
//! neither is `mod`; so a folder's `mod.rs` may pass its files' names on, and they may use what
//! stands in it, but not both know each other.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::Delimiter;

use super::source::{Source, Token};

/// What stands in `src/realtime/`, from the ground up: each knows those before it, and what stands in
/// its own folder.
const REALTIME: [&str; 38] = [
    "events",
    "frame",
    "packet",
    "names",
    "payload",
    "queue",
    "deadlines",
    "single_flight",
    "seats",
    "watch",
    "catalogue",
    "engine",
    "polls",
    "lane",
    "heartbeats",
    "recovery",
    "hub",
    "link",
    "soft",
    "emitter",
    "connection",
    "elsewhere",
    "inspector",
    "commands",
    "replay",
    "restore",
    "emit_service",
    "expiries",
    "inbound",
    "sockets",
    "listed",
    "census",
    "wire",
    "session",
    "mod",
    "drain",
    "disconnect",
    "http",
];

/// A name that a file brings in.
struct Use {
    path: Vec<String>,
    name: String,
    /// Passed on to others.
    is_public: bool,
}

/// What a file names, and by which names.
#[derive(Default)]
struct Named {
    uses: Vec<Use>,
    /// Paths outside of `use` lines.
    paths: Vec<Vec<String>>,
    /// Single names outside of `use` lines.
    words: BTreeSet<String>,
}

fn is_path(tokens: &[(Token, usize)], at: usize) -> bool {
    let colon = |at| matches!(tokens.get(at), Some((Token::Mark(':'), _)));
    colon(at) && colon(at + 1)
}

impl Named {
    fn by(source: &Source) -> Self {
        let (mut named, tokens) = (Self::default(), &source.tokens[..]);
        let mut at = 0;
        while let Some((token, _)) = tokens.get(at) {
            let Token::Name(name) = token else {
                at += 1;
                continue;
            };
            let before = at.checked_sub(1).map(|before| &tokens[before].0);
            if name == "use" {
                let is_public = match before {
                    Some(Token::Close(Delimiter::Parenthesis)) => true,
                    Some(Token::Name(before)) => before == "pub",
                    _ => false,
                };
                at = named.tree(tokens, at + 1, &[], is_public);
                continue;
            }
            let mut path = vec![name.clone()];
            while is_path(tokens, at + 1)
                && let Some((Token::Name(next), _)) = tokens.get(at + 3)
            {
                path.push(next.clone());
                at += 3;
            }
            named.words.insert(name.clone());
            if path.len() > 1 {
                named.paths.push(path);
            }
            at += 1;
        }
        named
    }

    /// Reads a tree of a `use` line behind `before`; where it ends.
    fn tree(
        &mut self,
        tokens: &[(Token, usize)],
        mut at: usize,
        before: &[String],
        is_public: bool,
    ) -> usize {
        let mut path = before.to_vec();
        loop {
            match tokens.get(at).map(|(token, _)| token) {
                Some(Token::Open(_)) => {
                    at += 1;
                    while !matches!(tokens.get(at), Some((Token::Close(_), _)) | None) {
                        at = self.tree(tokens, at, &path, is_public);
                        at += usize::from(matches!(tokens.get(at), Some((Token::Mark(','), _))));
                    }
                    return at + 1;
                }
                Some(Token::Mark('*')) => {
                    let name = "*".to_owned();
                    self.uses.push(Use { path, name, is_public });
                    return at + 1;
                }
                Some(Token::Name(name)) => path.push(name.clone()),
                _ => return at + 1,
            }
            at += 1;
            if is_path(tokens, at) {
                at += 2;
                continue;
            }
            let mut name = path.last().cloned().unwrap_or_default();
            if name == "self" {
                path.pop();
                name = path.last().cloned().unwrap_or_default();
            }
            if let [(Token::Name(renamed), _), (Token::Name(other), _), ..] = &tokens[at..]
                && renamed == "as"
            {
                name.clone_from(other);
                at += 2;
            }
            self.uses.push(Use { path, name, is_public });
            return at;
        }
    }
}

/// All files of a crate, by their modules.
pub struct House {
    /// The module that is each file.
    modules: BTreeMap<Vec<String>, usize>,
    files: Vec<(String, Vec<String>, Named)>,
}

/// What a path leads to.
enum End {
    Module(Vec<String>),
    /// Something that stands in this file.
    In(usize),
    Elsewhere,
}

impl House {
    /// That of these files.
    pub fn of(sources: &[Source]) -> Self {
        let files: Vec<_> = sources
            .iter()
            .filter(|source| source.path != "main.rs")
            .map(|source| {
                let path = source.path.trim_end_matches(".rs").trim_end_matches("/mod");
                let module = path.split('/').filter(|part| *part != "lib").map(str::to_owned);
                (source.path.clone(), module.collect::<Vec<_>>(), Named::by(source))
            })
            .collect();
        let modules = files.iter().enumerate().map(|(at, (_, module, _))| (module.clone(), at));
        Self { modules: modules.collect(), files }
    }

    /// A path as it is from the crate's root; none for what is not of this crate.
    fn absolute(&self, from: &[String], path: &[String]) -> Option<Vec<String>> {
        let up = path.iter().take_while(|part| *part == "super").count();
        let (base, rest) = match path.first()?.as_str() {
            "crate" => (&from[..0], &path[1..]),
            "self" => (from, &path[1..]),
            "super" => (&from[..from.len().checked_sub(up)?], &path[up..]),
            name => {
                let child = [from, &[name.to_owned()]].concat();
                self.modules.get(&child)?;
                (from, path)
            }
        };
        Some([base, rest].concat())
    }

    /// Where a path from the crate's root ends, through what is passed on.
    fn end(&self, path: &[String], depth: usize) -> End {
        let longest = (0..=path.len()).rev().find_map(|length| {
            let file = *self.modules.get(&path[..length])?;
            Some((file, &path[length..]))
        });
        let Some((file, rest)) = longest else { return End::Elsewhere };
        let Some(name) = rest.first() else { return End::Module(path.to_vec()) };
        let (_, module, named) = &self.files[file];
        let passed_on = named.uses.iter().find(|one| one.name == *name).filter(|_| depth < 8);
        let Some(passed_on) = passed_on else { return End::In(file) };
        match self.absolute(module, &passed_on.path) {
            Some(path) => self.end(&[&path, &rest[1..]].concat(), depth + 1),
            None => End::Elsewhere,
        }
    }

    /// The files that each file knows, with a name that it knows each by.
    fn known(&self) -> Vec<BTreeMap<usize, String>> {
        let files = self.files.iter().enumerate();
        files.map(|(at, (_, module, named))| self.known_by(at, module, named)).collect()
    }

    fn known_by(&self, at: usize, module: &[String], named: &Named) -> BTreeMap<usize, String> {
        let (mut known, mut modules) = (BTreeMap::new(), BTreeMap::new());
        for one in &named.uses {
            let Some(path) = self.absolute(module, &one.path) else { continue };
            match self.end(&path, 0) {
                End::Module(module) if one.name == "*" => {
                    known.insert(self.modules[&module], one.name.clone());
                }
                End::Module(module) => {
                    modules.insert(&one.name, module);
                }
                End::In(file) if !one.is_public || named.words.contains(&one.name) => {
                    known.insert(file, one.name.clone());
                }
                End::In(_) | End::Elsewhere => {}
            }
        }
        for path in &named.paths {
            let absolute = match modules.get(&path[0]) {
                Some(module) => Some([module, &path[1..]].concat()),
                None => self.absolute(module, path),
            };
            if let Some(End::In(file)) = absolute.map(|path| self.end(&path, 0)) {
                known.insert(file, path.join("::"));
            }
        }
        known.remove(&at);
        known
    }

    /// Each file's path, with those of the files that it knows, each by a name that it knows there.
    pub fn arrows(&self) -> impl Iterator<Item = (&str, Vec<(&str, String)>)> {
        let path = |file: usize| self.files[file].0.as_str();
        self.known().into_iter().enumerate().map(move |(file, known)| {
            let known = known.into_iter().map(|(other, name)| (path(other), name));
            (path(file), known.collect())
        })
    }

    /// Each file that stands in a circle, with what it knows there.
    fn circles(&self) -> BTreeMap<&str, Vec<String>> {
        let known = self.known();
        let reached: Vec<_> = (0..known.len()).map(|file| reached(&known, file)).collect();
        let mut circles = BTreeMap::new();
        for (file, (path, ..)) in self.files.iter().enumerate() {
            if !reached[file].contains(&file) {
                continue;
            }
            let back = known[file].iter().filter(|(other, _)| reached[**other].contains(&file));
            let there =
                |(other, name): (&usize, &String)| format!("{} ({name})", self.files[*other].0);
            circles.insert(path.as_str(), back.map(there).collect());
        }
        circles
    }
}

/// What knows something that does not stand below it.
fn out_of_order(house: &House) -> Vec<String> {
    let index = |path: &str| {
        let part = path.strip_prefix("realtime/")?.split('/').next()?;
        let part = part.trim_end_matches(".rs");
        Some(REALTIME.iter().position(|one| *one == part).ok_or_else(|| part.to_owned()))
    };
    let mut wrong = Vec::new();
    for (path, known) in house.arrows() {
        let own = match index(path) {
            None => continue,
            Some(Ok(own)) => own,
            Some(Err(_)) if path.starts_with("realtime/tests/") => continue,
            Some(Err(part)) => {
                wrong.push(format!("src/{path}: {part} has no place in the order of realtime"));
                continue;
            }
        };
        for (other, name) in known {
            if let Some(Ok(index)) = index(other)
                && index > own
            {
                wrong.push(format!("src/{path} may not know {name} of src/{other}"));
            }
        }
    }
    wrong
}

/// The files that a file knows, and those that these know.
fn reached(known: &[BTreeMap<usize, String>], from: usize) -> BTreeSet<usize> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(file) = open.pop() {
        open.extend(known[file].keys().filter(|next| reached.insert(**next)));
    }
    reached
}

#[test]
fn no_files_know_each_other_in_a_circle() {
    let mut found = Vec::new();
    for folder in ["src", "benches"] {
        let house = House::of(&Source::below(folder));
        let circles = house.circles().into_iter();
        found.extend(
            circles.map(|(path, known)| format!("{folder}/{path} knows {}", known.join(", "))),
        );
    }
    assert!(found.is_empty(), "circles:\n{}\n", found.join("\n"));
}

#[test]
fn realtime_is_built_from_the_ground_up() {
    let wrong = out_of_order(&House::of(&Source::below("src")));
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    let found = |path: &str, text: &str| {
        let files = [("realtime/hub/mod.rs", ""), ("realtime/mod.rs", "mod hub;"), (path, text)];
        out_of_order(&House::of(&files.map(|(path, text)| Source::new(path, text)))).len()
    };
    assert_eq!(found("realtime/lane/state.rs", "use crate::realtime::hub::Hub;"), 1);
    assert_eq!(found("realtime/emitter.rs", "use super::hub::Hub;"), 0);
    assert_eq!(found("realtime/another.rs", ""), 1);
}

#[test]
fn a_circle_is_found_by_whatever_way_it_goes() {
    let circles = |files: &[(&str, &str)]| -> Vec<String> {
        let sources: Vec<_> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
        House::of(&sources).circles().into_keys().map(str::to_owned).collect()
    };
    // By lists, renamed, in bodies, by a module's name, and through what others pass on.
    for (one, other) in [
        ("use crate::{x, b::{B, C as D}};", "use super::a::A;"),
        ("fn f(b: &crate::b::B) {}", "use crate::{a as q}; fn g() { q::A::new() }"),
        ("use super::b; fn f() { b::g(); }", "use crate::c::A;"),
    ] {
        let c = ("c.rs", "pub use crate::a::A;");
        assert_eq!(circles(&[("a.rs", one), ("b.rs", other), c]), ["a.rs", "b.rs"], "{one}");
        assert_eq!(circles(&[("a.rs", one), ("b.rs", "use std::a::A;"), c]), [""; 0]);
    }
    // A folder that passes on is not known by what it passes on; one that uses it is.
    let file = ("a/b.rs", "use super::A; pub struct B;");
    assert_eq!(circles(&[("a/mod.rs", "mod b; pub use b::B; pub struct A;"), file]), [""; 0]);
    let uses = ("a/mod.rs", "mod b; pub use b::B; pub struct A(B);");
    assert_eq!(circles(&[uses, file]), ["a/b.rs", "a/mod.rs"]);
    let test = "mod b; pub struct A; #[cfg(test)] mod tests { use super::b::B; }";
    assert_eq!(circles(&[("a/mod.rs", test), file]), [""; 0]);
}
