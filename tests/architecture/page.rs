//! Markdown pages of the repository, as far as the checks read them: headings by their anchors, and
//! tables by their columns.

use std::{collections::BTreeSet, path::Path};

/// One page.
pub struct Page {
    /// As it is written.
    pub text: String,
}

/// A line of a table.
pub struct Row {
    /// The anchor of the heading above.
    pub section: String,
    /// Its place, from 1.
    pub line: usize,
    /// What stands in it, by the table's head.
    cells: Vec<(String, String)>,
}

impl Row {
    /// What stands in a column; none where the table has none of that name.
    pub fn cell(&self, column: &str) -> Option<&str> {
        let cell = self.cells.iter().find(|(head, _)| head == column);
        cell.map(|(_, text)| text.as_str())
    }

    /// The code spans of a column, without their quotes.
    pub fn spans(&self, column: &str) -> Vec<&str> {
        self.cell(column).map(spans).unwrap_or_default()
    }

    /// The one code span that a column consists of.
    pub fn only(&self, column: &str) -> Option<&str> {
        let inner = self.cell(column)?.strip_prefix('`')?.strip_suffix('`')?;
        (!inner.contains('`')).then_some(inner)
    }
}

/// The code spans of a line.
pub fn spans(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

/// The anchor of a heading, as GitHub makes it.
pub fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading
        .trim()
        .to_lowercase()
        .chars()
        .filter(kept)
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

impl Page {
    /// A page by its path in the repository.
    pub fn read(path: &str) -> Self {
        let full = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let text = std::fs::read_to_string(full).unwrap_or_else(|e| panic!("{path}: {e}"));
        Self { text }
    }

    /// Its lines that are no code, each with its number.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut code = false;
        let lines = self.text.lines().enumerate();
        lines.filter_map(move |(at, line)| {
            if line.trim_start().starts_with("```") {
                code = !code;
                return None;
            }
            (!code).then_some((at + 1, line))
        })
    }

    /// The anchors of its headings.
    pub fn anchors(&self) -> BTreeSet<String> {
        self.lines().filter_map(|(_, line)| heading(line)).collect()
    }

    /// The lines of a section that are no code, up to the next heading of any rank.
    pub fn section(&self, wanted: &str) -> Vec<&str> {
        let mut inside = false;
        let mut found = Vec::new();
        for (_, line) in self.lines() {
            match heading(line) {
                Some(anchor) => inside = anchor == wanted,
                None if inside => found.push(line),
                None => {}
            }
        }
        found
    }

    /// Every line of every table, heads left out.
    pub fn rows(&self) -> Vec<Row> {
        let (mut section, mut head, mut rows) = (String::new(), Vec::new(), Vec::new());
        for (line, text) in self.lines() {
            if let Some(anchor) = heading(text) {
                section = anchor;
            }
            let Some(cells) = cells(text) else {
                head.clear();
                continue;
            };
            let is_rule = cells.iter().all(|cell| cell.starts_with("--"));
            if head.is_empty() {
                head = cells;
            } else if !is_rule {
                assert_eq!(cells.len(), head.len(), "line {line}: columns of the head");
                let cells = head.iter().cloned().zip(cells).collect();
                rows.push(Row { section: section.clone(), line, cells });
            }
        }
        rows
    }
}

fn heading(line: &str) -> Option<String> {
    let text = line.trim_start_matches('#');
    (text.len() < line.len()).then(|| text.strip_prefix(' ').map(anchor)).flatten()
}

/// The cells of a table's line, `\|` read as `|`.
fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    let inner = inner.replace("\\|", "\0");
    Some(inner.split('|').map(|cell| cell.trim().replace('\0', "|")).collect())
}

#[test]
fn headings_and_tables_are_read_and_code_is_not() {
    let text = "# A b → c, d\n```sh\n# no heading\n```\n| Of | `x` |\n|---|---|\n| `a \\| b` | y |\n## Last\nz\n";
    let page = Page { text: text.to_owned() };
    assert_eq!(page.anchors(), ["a-b--c-d", "last"].map(str::to_owned).into());
    let rows = page.rows();
    let [row] = rows.as_slice() else { panic!("{} rows", rows.len()) };
    assert_eq!((row.section.as_str(), row.line), ("a-b--c-d", 7));
    assert_eq!((row.only("Of"), row.cell("`x`"), row.cell("?")), (Some("a | b"), Some("y"), None));
    assert_eq!(page.section("last"), ["z"]);
}
