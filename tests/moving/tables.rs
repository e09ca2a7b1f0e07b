//! Every table moves, or the page says why it does not.

use std::collections::BTreeSet;

use crate::architecture::page::Page;

/// The tables that there are after all migrations.
fn tables() -> BTreeSet<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the migrations")
        .map(|entry| entry.expect("a migration").path())
        .collect();
    files.sort();
    let mut tables = BTreeSet::new();
    for file in files {
        let sql = std::fs::read_to_string(&file).expect("a migration");
        for line in sql.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["CREATE", "TABLE", name, ..] => drop(tables.insert(name.to_owned())),
                ["DROP", "TABLE", name, ..] => {
                    tables.remove(name.trim_end_matches(';'));
                }
                ["ALTER", "TABLE", before, "RENAME", "TO", now] => {
                    assert!(tables.remove(before), "{before}");
                    tables.insert(now.trim_end_matches(';').to_owned());
                }
                _ => {}
            }
        }
    }
    tables
}

#[test]
fn the_page_says_of_every_table_in_which_lines_it_moves_or_why_it_does_not() {
    let page = Page::read("docs/moving.md");
    let told: BTreeSet<String> =
        page.rows().iter().filter_map(|row| row.only("Table")).map(str::to_owned).collect();
    let there = tables();
    assert!(there.len() > 30, "the tables were not found: {there:?}");
    assert_eq!(told, there);
}
