//! What clients ask that nothing here does: a backend may answer it, which a room above knows and the
//! roof hands down (docs/contract/rest.md#event-proxy).

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::value::RawValue;

use super::connection::Connection;
use crate::{
    error::{Error, Result},
    text::well_formed,
};

/// Has events answered that no command is for.
pub trait Elsewhere: Send + Sync {
    /// The pattern under which it takes an event, if it does; what it is counted by.
    fn takes(&self, event: &str) -> Option<Arc<str>>;

    /// Whether conversations may be kept there.
    fn keeps_conversations(&self) -> bool;

    /// Asks: the arguments of the event's acknowledgement, as JSON with commas between. Nothing is
    /// done before the future is polled.
    fn ask(self: Arc<Self>, event: ForeignEvent) -> BoxFuture<'static, Result<Box<str>>>;
}

/// An event of a client's for which there is no command.
pub struct ForeignEvent {
    /// Whose it is.
    pub connection: Arc<Connection>,
    /// Its name.
    pub event: Box<str>,
    /// The pattern that took it.
    pub pattern: Arc<str>,
    /// All that came with it, as a JSON array.
    pub arguments: Box<RawValue>,
}

impl ForeignEvent {
    /// An event with these arguments, of which each is JSON.
    ///
    /// # Errors
    /// When one is not.
    pub(super) fn new(
        connection: Arc<Connection>,
        event: &str,
        pattern: Arc<str>,
        arguments: &[&RawValue],
    ) -> Result<Self> {
        let bytes = arguments.iter().map(|argument| argument.get().len() + 1).sum::<usize>();
        let mut all = String::with_capacity(bytes + 2);
        all.push('[');
        for (at, argument) in arguments.iter().enumerate() {
            if at > 0 {
                all.push(',');
            }
            all.push_str(argument.get());
        }
        all.push(']');
        let formed = well_formed(all.as_bytes()).into_owned();
        let arguments = serde_json::from_slice(&formed).map_err(Error::internal)?;
        Ok(Self { connection, event: event.into(), pattern, arguments })
    }
}
