//! The catalogue for reading: a table for the terminal, JSON for programs.

use std::fmt::Write;

use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::Catalogue;
use crate::event::{Dialect, Direction, EventType, Namespace};

/// One event, as the JSON lists it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    name: &'static str,
    direction: Direction,
    dialect: Dialect,
    namespaces: Vec<&'static str>,
    to: &'static str,
    kept: bool,
    payload: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ack: Option<String>,
    description: String,
}

impl From<&EventType> for Entry {
    fn from(event: &EventType) -> Self {
        let namespaces = event.dialect.namespaces().iter();
        Self {
            name: event.name,
            direction: event.direction,
            dialect: event.dialect,
            namespaces: namespaces.map(Namespace::path).collect(),
            to: event.to,
            kept: event.kept,
            payload: (event.payload.name)().into_owned(),
            ack: event.ack.map(|ack| (ack.name)().into_owned()),
            description: event.description(),
        }
    }
}

/// `{events, schemas}`: what is said, and by name the JSON schemas of what it carries.
impl Serialize for Catalogue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut catalogue = serializer.serialize_struct("Catalogue", 2)?;
        catalogue.serialize_field("events", &self.iter().map(Entry::from).collect::<Vec<_>>())?;
        catalogue.serialize_field("schemas", self.schemas())?;
        catalogue.end()
    }
}

impl Catalogue {
    /// A table of all events in aligned columns, one event a line.
    #[must_use]
    pub fn table(&self) -> String {
        let mut rows = vec![["NAME", "DIRECTION", "DIALECT", "TO", "PAYLOAD"].map(String::from)];
        rows.extend(self.iter().map(|event| {
            let direction = match event.direction {
                Direction::ServerToClient => "server to client",
                Direction::ClientToServer => "client to server",
            };
            let dialect = match event.dialect {
                Dialect::Conversation => "conversation",
                Dialect::Marketplace => "marketplace",
                Dialect::Both => "both",
            };
            [event.name, direction, dialect, event.to, &(event.payload.name)()].map(String::from)
        }));
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let [name, direction, dialect, to] = [0, 1, 2, 3].map(width);
        rows.iter().fold(String::new(), |mut table, [a, b, c, d, payload]| {
            let _ = writeln!(table, "{a:name$}  {b:direction$}  {c:dialect$}  {d:to$}  {payload}");
            table
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::realtime::events::{AUTH_EXPIRING, REFRESH_AUTH};

    #[test]
    fn the_table_has_aligned_columns() {
        let table = Catalogue::new(&[&[AUTH_EXPIRING, REFRESH_AUTH.event()]]).unwrap().table();
        let expected = "\
NAME           DIRECTION         DIALECT  TO          PAYLOAD
auth:expiring  server to client  both     the socket  AuthExpiring
auth:refresh   client to server  both     the server  RefreshAuth
";
        assert_eq!(table, expected);
    }
}
