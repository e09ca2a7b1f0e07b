//! Rust source as a flat run of tokens, without comments and without its own tests: what the
//! checks of the house look through.

use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A token that the checks care for.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// A name or keyword.
    Name(String),
    /// A punctuation character.
    Mark(char),
    /// What stands between the quotes of a string literal.
    Text(String),
    /// The beginning of a group.
    Open(Delimiter),
    /// Its end.
    Close(Delimiter),
}

/// One file of `src/`.
pub struct Source {
    /// Relative to `src/`, with `/` between the parts.
    pub path: String,
    /// As it is written.
    pub text: String,
    /// With the line of each, from 1.
    pub tokens: Vec<(Token, usize)>,
}

impl Source {
    /// Reads one file's text.
    pub fn new(path: &str, text: &str) -> Self {
        let stream: TokenStream = text.parse().unwrap_or_else(|e| panic!("{path}: {e}"));
        let mut tokens = Vec::new();
        flatten(stream, &mut tokens);
        Self { path: path.to_owned(), text: text.to_owned(), tokens }
    }

    /// Every file of `src/`, but for those that hold nothing but tests.
    pub fn all() -> Vec<Self> {
        Self::below("src")
    }

    /// Every file of a folder of the package, but for those that hold nothing but tests.
    pub fn below(folder: &str) -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut sources = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                let name = path.file_stem().expect("a name");
                if name == "tests" {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = std::fs::read_to_string(&path).expect("a file");
                    let relative = path.strip_prefix(&root).expect("below the folder");
                    sources.push(Self::new(&relative.to_string_lossy(), &text));
                }
            }
        }
        assert!(sources.len() > 5, "{folder}/ was not found");
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        sources
    }

    /// The top-level module that the file belongs to.
    pub fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// The file's own name.
    pub fn file(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Whether a room declares its events here.
    pub fn declares_events(&self) -> bool {
        self.file() == "events.rs" || self.path.contains("/events/")
    }

    /// Whether `super` names the crate's root here.
    fn is_top(&self) -> bool {
        self.path.split('/').count() == if self.file() == "mod.rs" { 2 } else { 1 }
    }

    /// `src/chat/mod.rs:7`
    pub fn at(&self, line: usize) -> String {
        format!("src/{}:{line}", self.path)
    }

    /// The string literals, each with its line.
    pub fn texts(&self) -> impl Iterator<Item = (&str, usize)> {
        self.tokens.iter().filter_map(|(token, line)| match token {
            Token::Text(text) => Some((text.as_str(), *line)),
            _ => None,
        })
    }

    /// Whether the file has this name anywhere.
    pub fn names(&self, wanted: &str) -> bool {
        self.tokens.iter().any(|(token, _)| *token == Token::Name(wanted.to_owned()))
    }

    /// The lines on which these tokens follow each other.
    pub fn lines_with(&self, run: &[Token]) -> Vec<usize> {
        let windows = self.tokens.windows(run.len());
        let found = windows.filter(|window| window.iter().map(|(token, _)| token).eq(run));
        found.map(|window| window[0].1).collect()
    }

    /// What the file names at the crate's root: `crate::x`, `crate::{x, y::z}`, and `super::x`
    /// where that is the root; each with its line.
    pub fn used(&self) -> Vec<(String, usize)> {
        let mut used = Vec::new();
        for (at, (token, line)) in self.tokens.iter().enumerate() {
            let Token::Name(root) = token else { continue };
            if root != "crate" && !(root == "super" && self.is_top()) {
                continue;
            }
            let rest = &self.tokens[at + 1..];
            if !matches!(rest, [(Token::Mark(':'), _), (Token::Mark(':'), _), ..]) {
                continue;
            }
            match &rest[2..] {
                [(Token::Name(name), _), ..] => used.push((name.clone(), *line)),
                [(Token::Open(Delimiter::Brace), _), list @ ..] => used.extend(heads(list)),
                _ => {}
            }
        }
        used
    }
}

/// The first name of each item of a `use` list, up to the list's end.
fn heads(list: &[(Token, usize)]) -> Vec<(String, usize)> {
    let (mut heads, mut depth, mut first) = (Vec::new(), 0_u32, true);
    for (token, line) in list {
        match token {
            Token::Close(_) if depth == 0 => break,
            Token::Open(_) => depth += 1,
            Token::Close(_) => depth -= 1,
            Token::Mark(',') if depth == 0 => first = true,
            Token::Name(name) if depth == 0 && first => {
                heads.push((name.clone(), *line));
                first = false;
            }
            _ => {}
        }
    }
    heads
}

/// Lays the groups out flat; leaves out doc comments, and items under `#[cfg(test)]`.
fn flatten(stream: TokenStream, tokens: &mut Vec<(Token, usize)>) {
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Punct(mark) if mark.as_char() == '#' => {
                trees.next_if(|next| matches!(next, TokenTree::Punct(p) if p.as_char() == '!'));
                let Some(TokenTree::Group(group)) = trees.next() else { continue };
                let attribute = group.stream().to_string().replace(' ', "");
                if attribute == "cfg(test)" {
                    skip_item(&mut trees);
                } else if !attribute.starts_with("doc=") {
                    flatten(group.stream(), tokens);
                }
            }
            TokenTree::Punct(mark) => tokens.push((Token::Mark(mark.as_char()), line)),
            TokenTree::Ident(name) => tokens.push((Token::Name(name.to_string()), line)),
            TokenTree::Literal(literal) => {
                let written = literal.to_string();
                let quoted = written.split_once('"').and_then(|(_, rest)| rest.rsplit_once('"'));
                if let Some((text, _)) = quoted {
                    tokens.push((Token::Text(text.to_owned()), line));
                }
            }
            TokenTree::Group(group) => {
                tokens.push((Token::Open(group.delimiter()), line));
                flatten(group.stream(), tokens);
                tokens.push((Token::Close(group.delimiter()), group.span_close().start().line));
            }
        }
    }
}

fn skip_item(trees: &mut impl Iterator<Item = TokenTree>) {
    for tree in trees {
        match tree {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return,
            TokenTree::Punct(mark) if mark.as_char() == ';' => return,
            _ => {}
        }
    }
}

#[test]
fn paths_are_found_in_lists_macros_and_bodies_and_not_in_comments_or_tests() {
    let text = r#"
        //! crate::a
        use crate::{b, c::{d, e}, f::g};
        pub(crate) fn h() { crate::i::j(); tokio::select! { _ = crate::k::l() => {} } }
        #[derive(Debug)] struct M; // crate::n
        #[cfg(test)] mod tests { use crate::o; }
        /* crate::p */ const Q: &str = "crate::r"; const S: char = '"';
    "#;
    let names = |path: &str| -> Vec<String> {
        Source::new(path, text).used().into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names("x/y.rs"), ["b", "c", "f", "i", "k"]);
    let up = |path| Source::new(path, "use super::{a, b::c}; use super::d;").used().len();
    assert_eq!((up("x/mod.rs"), up("x.rs"), up("x/y.rs")), (3, 3, 0));
}
