//! `docs/guarantees.md`: each command by which a promise is shown is there.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::architecture::page::Page;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let own = files.into_iter().filter(|path| path.extension().is_some_and(|ext| ext == "rs"));
    own.chain(folders.iter().flat_map(|folder| self::files(folder))).collect()
}

/// The tests of the binary `stoa`, as its filters name them.
fn tests() -> BTreeSet<String> {
    let folder = repository().join("tests");
    let mut tests = BTreeSet::new();
    for path in files(&folder) {
        let module = path.strip_prefix(&folder).expect("a test's file").with_extension("");
        let names = module.iter().map(|name| name.to_string_lossy()).filter(|name| name != "mod");
        let module = names.collect::<Vec<_>>().join("::");
        let text = fs::read_to_string(&path).expect("a test's file");
        let mut is_test = false;
        for line in text.lines().map(str::trim_start) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                is_test = true;
            } else if let Some(name) =
                line.trim_start_matches("async ").strip_prefix("fn ").filter(|_| is_test)
            {
                let name = name.split('(').next().unwrap_or_default();
                tests.insert(format!("{module}::{name}"));
                is_test = false;
            }
        }
    }
    tests
}

/// Whether a command can be given.
fn is_there(command: &str, tests: &BTreeSet<String>) -> bool {
    let has_line = |path: &str, line: &str| {
        let text = fs::read_to_string(repository().join(path)).expect("a file");
        text.lines().any(|one| one.starts_with(line))
    };
    match *command.split(' ').collect::<Vec<_>>().as_slice() {
        ["cargo", "test", "--test", "stoa", filter] => {
            tests.iter().any(|test| test.starts_with(filter))
        }
        ["cargo", "bench", "--bench", name] => {
            has_line("Cargo.toml", &format!("name = \"{name}\""))
        }
        ["make", target] => has_line("Makefile", &format!("{target}:")),
        ["node", "--test", file] => repository().join("tests/js").join(file).is_file(),
        _ => false,
    }
}

#[test]
fn whatever_shows_a_promise_is_there() {
    let (page, tests) = (Page::read("docs/guarantees.md"), tests());
    assert!(tests.len() > 300, "the tests were not found: {}", tests.len());
    let rows = page.rows();
    assert!(rows.len() >= 10, "the promises were not found");
    for row in rows {
        let commands = row.spans("Shown by");
        assert!(!commands.is_empty(), "line {}: nothing shows it", row.line);
        for command in commands {
            assert!(is_there(command, &tests), "line {}: there is no `{command}`", row.line);
        }
    }
    assert!(!is_there("cargo test --test stoa nowhere::", &tests));
}
