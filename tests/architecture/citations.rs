//! Every page that is cited is there, with the heading that is cited of it; so is whatever a page
//! links to.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use super::{
    assert_none,
    page::{Page, anchor, spans},
};

/// What is looked through, beside the files of the repository's root.
const FOLDERS: [&str; 7] = ["src", "tests", "benches", "config", "migrations", "docs", ".ci"];

/// What others wrote or tools make.
const LEFT_OUT: [&str; 4] = ["node_modules", "snapshots", "package-lock.json", "Cargo.lock"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every text of the repository, by its path in there.
fn texts() -> Vec<(String, String)> {
    let (mut texts, mut folders) = (Vec::new(), vec![root().to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let wanted = folder != root() || path.is_file() || FOLDERS.contains(&name.as_str());
            if !wanted || LEFT_OUT.contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let relative = path.strip_prefix(root()).expect("below the root");
                texts.push((relative.to_string_lossy().into_owned(), text));
            }
        }
    }
    assert!(texts.len() > 300, "the repository was not found");
    texts.sort();
    texts
}

/// The pages that a text names, `page` or `page#anchor`, each with its line.
fn named(text: &str) -> Vec<(usize, &str)> {
    let of_path = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let of_anchor = |c: char| c.is_alphanumeric() || "_-".contains(c);
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for (dot, _) in line.match_indices(".md") {
            let before = &line[..dot];
            let path = before.trim_end_matches(of_path);
            let after = &line[dot + 3..];
            if after.starts_with(|c: char| c.is_ascii_alphanumeric()) || path.len() == dot {
                continue;
            }
            let anchor = after
                .strip_prefix('#')
                .map_or(0, |anchor| 1 + anchor.find(|c| !of_anchor(c)).unwrap_or(anchor.len()));
            let page = &line[path.len()..dot + 3 + anchor];
            // The rest of an address elsewhere.
            if !page.starts_with("//") {
                found.push((at + 1, page));
            }
        }
    }
    found
}

/// What a page links to that is no address elsewhere, each with its line.
fn links(page: &str) -> Vec<(usize, &str)> {
    let lines = page.lines().enumerate();
    let targets = lines.flat_map(|(at, line)| {
        let ends = line.split("](").skip(1);
        ends.filter_map(move |rest| rest.split_once(')')).map(move |(to, _)| (at + 1, to))
    });
    targets.filter(|(_, to)| !to.contains(':')).collect()
}

/// The paths of this repository that stand as code in a page, each with its line.
fn paths(page: &str) -> Vec<(usize, &str)> {
    let of_path = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let begins = |span: &str| {
        FOLDERS
            .iter()
            .any(|folder| span.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
    };
    let lines = page.lines().enumerate();
    let paths =
        lines.flat_map(|(at, line)| spans(line).into_iter().map(move |span| (at + 1, span)));
    // A name that is to be thought of is no path.
    let is_path = |span: &str| begins(span) && span.chars().all(of_path) && !span.contains("NNNN");
    paths.filter(|(_, span)| is_path(span)).collect()
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// Why nothing is where a path and an anchor lead, from these folders.
fn missing(to: &str, from: &[&Path], own: &str) -> Option<String> {
    let (path, fragment) = to.split_once('#').map_or((to, None), |(path, at)| (path, Some(at)));
    let found = if path.is_empty() {
        root().join(own)
    } else {
        let paths = from.iter().map(|folder| plain(&root().join(folder).join(path)));
        match paths.into_iter().find(|path| path.exists()) {
            Some(found) => found,
            None => return Some(format!("there is no {path}")),
        }
    };
    let fragment = fragment.filter(|_| found.extension().is_some_and(|kind| kind == "md"))?;
    let text = fs::read_to_string(&found).expect("a page");
    let there = Page { text }.anchors().contains(fragment);
    (!there).then(|| format!("{to}: there is no such heading"))
}

/// What is wrong with what a file cites.
fn wrong(path: &str, text: &str) -> Vec<String> {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    let here = [Path::new(""), folder];
    let mut wrong: Vec<_> = named(text)
        .into_iter()
        .filter_map(|(line, page)| Some((line, missing(page, &here, path)?)))
        .collect();
    if Path::new(path).extension().is_some_and(|kind| kind == "md") {
        let links = links(text).into_iter();
        wrong.extend(links.filter_map(|(line, to)| Some((line, missing(to, &here[1..], path)?))));
        let paths = paths(text).into_iter();
        wrong.extend(paths.filter_map(|(line, to)| Some((line, missing(to, &here[..1], path)?))));
    }
    // One form, which can be checked: a heading's name beside the page can't.
    for (at, line) in text.lines().enumerate() {
        if line.contains(".md, \"") {
            wrong.push((at + 1, "write page.md#heading".to_owned()));
        }
    }
    wrong.sort();
    wrong.dedup();
    wrong.into_iter().map(|(line, what)| format!("{path}:{line}: {what}")).collect()
}

#[test]
fn what_is_cited_is_there() {
    let texts = texts();
    let own = |path: &String| path == "tests/architecture/citations.rs";
    let texts: Vec<_> = texts.iter().filter(|(path, _)| !own(path)).collect();
    let cited: usize = texts.iter().map(|(_, text)| named(text).len()).sum();
    assert!(cited > 80, "the citations were not found: {cited}");
    assert_none(&texts.iter().flat_map(|(path, text)| wrong(path, text)).collect::<Vec<_>>());
}

#[test]
fn a_missing_page_heading_or_file_is_found() {
    let first = Page::read("README.md").text;
    let first = first.lines().find_map(|line| line.strip_prefix("## ")).expect("a heading");
    let heading = format!("README.md#{}", anchor(first));
    for good in [
        "see README.md.",
        "https://a.example/no.md",
        "a.mdx",
        "*.md",
        &format!("({heading})"),
        &format!("../{heading}"),
    ] {
        assert_none(&wrong("src/lib.rs", good));
    }
    for bad in
        ["no.md", "README.md#no-such-heading", "(docs/no.md)", "README.md, \"Configuration\""]
    {
        assert_eq!(wrong("src/lib.rs", bad).len(), 1, "{bad}");
    }
    for good in [
        "[a](limits.md#memory) [b](../src/lib.rs) [c](#memory) [d](https://a.example)",
        "`src/lib.rs`, `src/`, `src/no file`, `no/lib.rs`, `migrations/NNNN_name.sql`",
    ] {
        assert_none(&wrong("docs/limits.md", good));
    }
    for bad in ["[a](README.md)", "[a](../no.rs)", "[a](#no-such-heading)", "a `src/no.rs` b"] {
        assert_eq!(wrong("docs/limits.md", bad).len(), 1, "{bad}");
    }
}
