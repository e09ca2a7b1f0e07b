//! `docs/contract/events.md` beside the catalogue.

use std::collections::BTreeSet;

use serde_json::Value;
use stoa::app;

use super::{assert_none, differences, shape::Schemas};
use crate::architecture::page::{Page, Row, spans};

const PAGE: &str = "docs/contract/events.md";

/// What a page says, beside the catalogue.
struct Comparison<'a> {
    page: &'a Page,
    rows: Vec<Row>,
    events: &'a [Value],
    schemas: Schemas<'a>,
}

/// An event's row, by who says it.
fn is_row_of(event: &Value, row: &Row) -> bool {
    let heard = event["direction"] == "clientToServer";
    row.only("Event") == event["name"].as_str() && row.cell("Argument").is_some() == heard
}

impl Comparison<'_> {
    fn names(&self) -> Vec<String> {
        let name = |row: &Row| {
            let heard = row.cell("Argument").is_some();
            row.only("Event")
                .map(|name| format!("{name} ({})", if heard { "heard" } else { "sent" }))
        };
        let told: Vec<_> = self.rows.iter().filter_map(name).collect();
        let there = self.events.iter().map(|event| {
            let heard = event["direction"] == "clientToServer";
            let name = event["name"].as_str().expect("a name");
            format!("{name} ({})", if heard { "heard" } else { "sent" })
        });
        let mut wrong =
            differences("event", &there.collect(), &told.iter().cloned().collect::<BTreeSet<_>>());
        if told.len() > told.iter().collect::<BTreeSet<_>>().len() {
            wrong.push("an event has two rows".to_owned());
        }
        wrong
    }

    /// Where the events of a section are spoken.
    fn namespaces(&self, section: &str) -> Vec<&str> {
        let lines = self.page.section(section);
        let line = lines.iter().find_map(|line| line.strip_prefix("Namespaces: "));
        line.map(spans).unwrap_or_default()
    }

    fn event(&self, row: &Row, event: &Value) -> Vec<String> {
        let payload = self.schemas.named(event["payload"].as_str().expect("a payload"));
        let payload = payload.expect("a schema");
        let told = |column| -> Vec<String> {
            let spans = row.spans(column);
            let type_name = &event[if column == "Answer" { "ack" } else { "payload" }];
            if let [name] = spans.as_slice()
                && name.starts_with(char::is_uppercase)
            {
                let is_it = type_name == name;
                return if is_it { Vec::new() } else { vec![format!("{name} is not its type")] };
            }
            let schema = match column {
                "Answer" => self.schemas.named(type_name.as_str().expect("an answer")),
                _ => Some(payload),
            };
            self.schemas.wrong_spans(&spans, schema.expect("a schema"))
        };
        let mut wrong = Vec::new();
        if event["direction"] == "clientToServer" {
            wrong.extend(told("Argument"));
            wrong.extend(told("Answer"));
        } else {
            wrong.extend(told("Payload"));
            let to = row.cell("To").unwrap_or_default().replace('`', "");
            if event["to"] != to.as_str() {
                wrong.push(format!("it goes to {}", event["to"]));
            }
        }
        let namespaces = self.namespaces(&row.section);
        let there = event["namespaces"].as_array().expect("namespaces");
        if !there.iter().eq(&namespaces) {
            wrong.push(format!("it is spoken on {}", event["namespaces"]));
        }
        wrong
    }

    fn events(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for event in self.events {
            for row in self.rows.iter().filter(|row| is_row_of(event, row)) {
                let at = format!("{PAGE}:{}: {}", row.line, event["name"]);
                wrong.extend(self.event(row, event).iter().map(|what| format!("{at}: {what}")));
            }
        }
        wrong
    }

    /// The types that a table tells.
    fn types(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for row in self.rows.iter().filter(|row| row.cell("Type").is_some()) {
            let name = row.only("Type").expect("a name");
            let at = format!("{PAGE}:{}: {name}", row.line);
            match self.schemas.named(name) {
                None => wrong.push(format!("{at}: there is none")),
                Some(schema) => {
                    let written = row.only("Fields").expect("fields");
                    let found = self.schemas.wrong(written, schema);
                    wrong.extend(found.iter().map(|what| format!("{at}: {what}")));
                }
            }
        }
        wrong
    }

    /// The names behind "Not kept: ".
    fn not_kept(&self) -> Vec<String> {
        let lines = self.page.section("missed-events");
        let line = lines.iter().find_map(|line| line.strip_prefix("Not kept: "));
        let told: BTreeSet<_> = line.map(spans).unwrap_or_default().into_iter().collect();
        let sent = self.events.iter().filter(|event| event["direction"] == "serverToClient");
        let lost = sent.filter(|event| event["kept"] == false);
        let there = lost.map(|event| event["name"].as_str().expect("a name")).collect();
        differences("an event that is not kept,", &there, &told)
    }
}

fn wrong(page: &Page) -> Vec<String> {
    let catalogue = serde_json::to_value(app::events()).expect("a catalogue");
    let events = catalogue["events"].as_array().expect("events");
    assert!(events.len() > 60, "the catalogue was not found");
    let schemas = Schemas(&catalogue["schemas"]);
    let comparison = Comparison { page, rows: page.rows(), events, schemas };
    let mut wrong = comparison.names();
    wrong.extend(comparison.events());
    wrong.extend(comparison.types());
    wrong.extend(comparison.not_kept());
    wrong
}

#[test]
fn the_page_of_events_is_the_catalogue() {
    assert_none(&wrong(&Page::read(PAGE)));
}

#[test]
fn a_page_that_tells_something_else_is_found() {
    let text = Page::read(PAGE).text;
    for (was, is, finds) in [
        ("| `message:edited` |", "| `message:edit` |", 2),
        ("Namespaces: `/`, `/chat`.", "Namespaces: `/`.", 2),
        ("{chatId, removedUserId}", "{chatId, userId}", 2),
        ("| `sellers` |", "| `buyers` |", 1),
        ("`{oldLevel, newLevel,", "`{oldLevel, newLevel?,", 1),
        ("Not kept: ", "Not kept: `message:new` ", 1),
    ] {
        assert!(text.contains(was), "{was}");
        let found = wrong(&Page { text: text.replacen(was, is, 1) });
        assert!(found.len() >= finds, "{was}: {found:?}");
    }
}
