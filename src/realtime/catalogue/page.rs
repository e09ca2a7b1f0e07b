//! The catalogue as a page for people: each event with who hears it, what it carries and an example,
//! and beside it what says the same in the other dialect. It is whole as it comes: no script runs.

use std::fmt::{self, Write};

use indexmap::IndexMap;
use serde_json::Value;
use utoipa::openapi::{
    RefOr,
    schema::{Object, Schema},
};

use super::{
    Catalogue,
    sample::Samples,
    schemas::REFUSAL,
    typescript::{description, expression, interface},
};
use crate::event::{Dialect, Direction, EventType, Namespace, Shape, Twin};

const PAGE: &str = include_str!("page.html");

/// Where its parts go.
const INDEX_HERE: &str = "<!-- index -->";
const SENT_HERE: &str = "<!-- sent -->";
const HEARD_HERE: &str = "<!-- heard -->";
const TYPES_HERE: &str = "<!-- types -->";

impl Catalogue {
    /// The text of the page.
    #[must_use]
    pub fn page(&self) -> String {
        let samples = Samples::of(self);
        // Writing to a `String` can't fail.
        let written = |write: &dyn Fn(&mut String) -> fmt::Result| {
            let mut text = String::new();
            let _ = write(&mut text);
            text
        };
        let [sent, heard] = [&self.sent, &self.heard].map(|events| {
            written(&|out| {
                groups(events).iter().try_for_each(|group| write_group(out, group, &samples))
            })
        });
        PAGE.replace(INDEX_HERE, &written(&|out| self.write_index(out)))
            .replace(SENT_HERE, &sent)
            .replace(HEARD_HERE, &heard)
            .replace(TYPES_HERE, &written(&|out| self.write_types(out)))
    }

    fn write_index(&self, out: &mut String) -> fmt::Result {
        for (title, events) in [("The server says", &self.sent), ("Clients say", &self.heard)] {
            write!(out, "<div><h2>{title}</h2><ul>")?;
            for event in events.values() {
                let name = escaped(event.name);
                write!(out, "<li><a href=\"#{}\"><code>{name}</code></a></li>", anchor(event))?;
            }
            out.push_str("</ul></div>");
        }
        Ok(())
    }

    /// Every type by name, with its fields.
    fn write_types(&self, out: &mut String) -> fmt::Result {
        for (name, schema) in self.schemas() {
            write!(out, "<section class=\"type\" id=\"type-{name}\"><h3><code>{name}</code></h3>")?;
            write!(out, "<p>{}</p>", prose(description(schema)))?;
            write_fields(out, schema)?;
            out.push_str("</section>");
        }
        Ok(())
    }
}

/// Those that say the same, beside each other: what the marketplace's dialect says is with the first of
/// those that name it.
fn groups(events: &IndexMap<&'static str, EventType>) -> Vec<Vec<EventType>> {
    let mut groups: IndexMap<&str, Vec<EventType>> = IndexMap::new();
    for event in events.values() {
        match event.twin {
            Twin::Named => {}
            Twin::None => drop(groups.insert(event.name, vec![*event])),
            Twin::Is(twin) => {
                let twin = twin();
                let group = groups.entry(twin.name).or_insert_with(|| vec![twin]);
                // The twin stays at the end.
                group.insert(group.len() - 1, *event);
            }
        }
    }
    groups.into_values().collect()
}

fn write_group(out: &mut String, group: &[EventType], samples: &Samples) -> fmt::Result {
    let [dialects, several] = match group {
        [_] => ["alone", ""],
        _ => ["twins", "<p class=\"same\">The same in both dialects:</p>"],
    };
    write!(out, "<section class=\"{dialects}\">{several}<div class=\"columns\">")?;
    for dialect in [Dialect::Conversation, Dialect::Marketplace, Dialect::Both] {
        let mut of_dialect = group.iter().filter(|event| event.dialect == dialect).peekable();
        if of_dialect.peek().is_none() {
            continue;
        }
        out.push_str("<div>");
        of_dialect.try_for_each(|event| write_event(out, event, samples))?;
        out.push_str("</div>");
    }
    out.write_str("</div></section>")
}

fn write_event(out: &mut String, event: &EventType, samples: &Samples) -> fmt::Result {
    let (name, id) = (escaped(event.name), anchor(event));
    let dialect = match event.dialect {
        Dialect::Conversation => "conversation dialect",
        Dialect::Marketplace => "marketplace dialect",
        Dialect::Both => "both dialects",
    };
    let at: Vec<_> = event.dialect.namespaces().iter().map(Namespace::path).collect();
    write!(out, "<article id=\"{id}\"><h3><a href=\"#{id}\"><code>{name}</code></a></h3>")?;
    write!(out, "<p class=\"about\">{dialect}, on {}", at.join(" and "))?;
    if event.kept {
        out.push_str("; kept, and replayed to who comes back");
    }
    write!(out, "</p><p>{}</p><dl>", prose(&event.description()))?;
    if event.direction == Direction::ServerToClient {
        write!(out, "<dt>Heard by</dt><dd>{}</dd>", escaped(event.to))?;
    }
    write!(out, "<dt>Carries</dt><dd>{}</dd>", link(event.payload))?;
    if let Some(ack) = event.ack {
        let (ack, refusal) = (link(ack), link(REFUSAL));
        write!(out, "<dt>Acknowledged with</dt><dd>{ack}, or {refusal}</dd>")?;
    }
    out.push_str("</dl>");
    write!(out, "<pre tabindex=\"0\" role=\"region\" aria-label=\"Example of {name}\">")?;
    write!(out, "{}</pre>", escaped(&code(event, samples)))?;
    out.write_str("</article>")
}

/// The event in a client's code.
fn code(event: &EventType, samples: &Samples) -> String {
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
    let payload = pretty(&samples.example(event.payload));
    let (name, ack) = (event.name, event.ack.map(|ack| pretty(&samples.example(ack))));
    match ack {
        None => format!("socket.on('{name}', (payload) => …);\n\n// payload\n{payload}"),
        Some(ack) => {
            format!("await socket.emitWithAck('{name}', {payload});\n\n// its answer\n{ack}")
        }
    }
}

/// What an object has, or what else a type is.
fn write_fields(out: &mut String, schema: &RefOr<Schema>) -> fmt::Result {
    let Some((bases, objects)) = interface(schema) else {
        return write!(out, "<p>{}</p>", types(&expression(schema)));
    };
    for base in bases {
        write!(out, "<p>All that {} has, and:</p>", types(&base))?;
    }
    out.push_str("<dl class=\"fields\">");
    objects.into_iter().try_for_each(|object| write_object(out, object))?;
    out.write_str("</dl>")
}

fn write_object(out: &mut String, object: &Object) -> fmt::Result {
    for (name, schema) in &object.properties {
        let optional = if object.required.contains(name) { "" } else { "?" };
        write!(out, "<dt><code>{}{optional}</code></dt>", escaped(name))?;
        write!(out, "<dd>{} {}</dd>", types(&expression(schema)), prose(description(schema)))?;
    }
    Ok(())
}

/// A TypeScript expression, in which every type of ours leads to what it is.
fn types(expression: &str) -> String {
    let mut out = String::from("<code>");
    for word in expression.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let name = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let rest = escaped(&word[name.len()..]);
        let is_ours = name.starts_with(char::is_uppercase) && !["Array", "Record"].contains(&name);
        let name =
            if is_ours { format!("<a href=\"#type-{name}\">{name}</a>") } else { escaped(name) };
        out.extend([name, rest]);
    }
    out + "</code>"
}

fn link(shape: Shape) -> String {
    types(&(shape.name)())
}

/// Some names are said in both directions.
fn anchor(event: &EventType) -> String {
    let by = if event.direction == Direction::ServerToClient { "server" } else { "client" };
    format!("{by}-{}", escaped(event.name))
}

/// A doc comment, in which backticks are all that there is of Markdown.
fn prose(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let parts = line.split('`').enumerate().map(|(at, part)| match at % 2 {
        0 => escaped(part),
        _ => format!("<code>{}</code>", escaped(part)),
    });
    parts.collect()
}

/// As HTML has it, between tags and in quoted attributes.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use utoipa::ToSchema;

    use super::*;
    use crate::{event::Success, events, id::Id};

    events! {
        server(Both) {
            /// Is `a < b` & "c"?
            SAMPLE: "a:sample", Sample, kept, to "conversation:<id>";
        }
        client(Both) {
            /// Asks for one.
            ASK: "ask", Id => Success, rate Other;
        }
    }

    /// All.
    #[derive(Serialize, ToSchema)]
    struct Sample {
        /// Whose `it` is.
        owner: Id,
        #[serde(skip_serializing_if = "Option::is_none")]
        many: Option<Vec<Id>>,
    }

    #[test]
    fn an_event_is_shown_with_all_that_is_said_of_it_and_no_word_is_markup() {
        let page = Catalogue::new(&[EVENTS]).unwrap().page();
        for expected in [
            "<a href=\"#server-a:sample\"><code>a:sample</code></a>",
            "<p>Is <code>a &lt; b</code> &amp; &quot;c&quot;?</p>",
            "<dt>Heard by</dt><dd>conversation:&lt;id&gt;</dd>",
            "kept, and replayed",
            "<dt>Acknowledged with</dt><dd><code><a href=\"#type-Success\">Success</a></code>, or",
            "<dt><code>many?</code></dt><dd><code>Array&lt;<a href=\"#type-Id\">Id</a>&gt;</code>",
            "Whose <code>it</code> is.",
            "&quot;owner&quot;: &quot;019ab697",
        ] {
            assert!(page.contains(expected), "{expected}\nis not in\n{page}");
        }
        for place in [INDEX_HERE, SENT_HERE, HEARD_HERE, TYPES_HERE] {
            assert!(!page.contains(place), "{place} is left");
        }
    }
}
