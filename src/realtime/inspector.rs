//! Who looks at this node over `/admin`, as the official Admin UI does: who is let in, and what they ask, is
//! decided above (docs/operating.md#the-admin-ui).

use std::{net::IpAddr, sync::Arc};

use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::connection::Connection;
use crate::error::Result;

/// Lets operators in, and does what they ask.
pub trait Inspector: Send + Sync {
    /// Lets a socket in that shows this, as JSON; else the words by which its client is refused. Who is let
    /// in is told of by [`Inspector::left`], and before that, where its client has heard so, by
    /// [`Inspector::arrived`].
    fn admit(
        self: Arc<Self>,
        socket: Uuid,
        address: IpAddr,
        auth: Option<Box<str>>,
    ) -> BoxFuture<'static, Result<(), &'static str>>;

    /// It has begun. Its lock is held.
    fn arrived(&self, connection: &Arc<Connection>);

    /// Does what an event asks, a list of its name and arguments; the arguments of its acknowledgement, as
    /// JSON. Nothing is done before the future is polled.
    fn ask(
        self: Arc<Self>,
        connection: Arc<Connection>,
        event: Box<str>,
    ) -> BoxFuture<'static, Result<Box<str>>>;

    /// It has ended, or never begun.
    fn left(&self, socket: Uuid);
}
