//! What emitters may: as an operator says (`[bridge]`).

use super::message::{Refusal, beginning};
use crate::{
    config::{BridgeConfig, Config},
    event::{EventName, EventPatterns, InvalidPattern, Namespace},
};

pub(super) struct Rights {
    namespaces: Vec<Namespace>,
    events: EventPatterns,
    pub(super) commands: bool,
    max_bytes: usize,
}

impl Rights {
    /// As configured.
    ///
    /// # Errors
    /// When a pattern is none, of which a validated configuration has none.
    pub(super) fn new(config: &Config) -> Result<Self, InvalidPattern> {
        let BridgeConfig { namespaces, events, commands, .. } = &config.bridge;
        let namespaces = namespaces.iter().filter_map(|path| Namespace::from_path(path)).collect();
        let (events, commands) = (EventPatterns::new(events)?, *commands);
        let max_bytes = config.server.max_payload_bytes;
        Ok(Self { namespaces, events, commands, max_bytes })
    }

    /// The namespace of a path.
    ///
    /// # Errors
    /// When it is not for emitters.
    pub(super) fn namespace(&self, path: &str) -> Result<Namespace, Refusal> {
        let namespace = Namespace::from_path(path).filter(|path| self.namespaces.contains(path));
        namespace.ok_or_else(|| Refusal::Namespace(beginning(path)))
    }

    /// # Errors
    /// When an event is not for emitters.
    pub(super) fn event(&self, event: &EventName) -> Result<(), Refusal> {
        let name = event.as_str();
        self.events.find(name).map(drop).ok_or_else(|| Refusal::Event(beginning(name)))
    }

    /// # Errors
    /// When commands are not for emitters.
    pub(super) fn commands(&self) -> Result<(), Refusal> {
        if self.commands { Ok(()) } else { Err(Refusal::Command) }
    }

    /// # Errors
    /// When a message of so many bytes is more than anybody may send (`MAX_PAYLOAD`).
    pub(super) fn size(&self, bytes: usize) -> Result<(), Refusal> {
        if bytes <= self.max_bytes { Ok(()) } else { Err(Refusal::TooLarge("MAX_PAYLOAD")) }
    }
}

#[cfg(test)]
impl Rights {
    /// To emit these, 20 kB at most, and to command.
    pub(super) fn of(namespaces: &[&str], events: &[&str]) -> Self {
        let events: Vec<_> = events.iter().map(|event| (*event).to_owned()).collect();
        Self {
            namespaces: namespaces.iter().filter_map(|path| Namespace::from_path(path)).collect(),
            events: EventPatterns::new(&events).unwrap(),
            commands: true,
            max_bytes: 20_000,
        }
    }
}
