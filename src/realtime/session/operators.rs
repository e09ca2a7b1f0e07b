//! The handshake of the Admin UI, which knows no tokens: whoever decides above lets its sockets in. They
//! belong to no user, and are in no room.

use std::sync::Arc;

use tokio::time::timeout;

use super::{Lifecycle, Refusal};
use crate::{
    event::Namespace,
    id::Ids,
    metrics,
    realtime::{connection::Connection, inspector::Inspector, link::Link},
};

/// What a client is told of a namespace that is not there.
const NO_NAMESPACE: &str = "Invalid namespace";

/// What it is told where it can't be said in time.
const BUSY: &str = "Many passwords are checked just now; try again.";

impl Lifecycle {
    /// Who answers the Admin UI, of one of its sockets.
    pub(super) fn inspector_of(&self, connection: &Connection) -> Option<&Arc<dyn Inspector>> {
        let inspector = self.commands()?.inspector.as_ref();
        inspector.filter(|_| connection.namespace() == Namespace::Admin)
    }

    /// The handshake of `/admin`. Whoever is let in is known to the engine, if at all, by `listen`.
    pub(super) async fn let_operator_in(
        &self,
        link: &Arc<Link>,
        auth: Option<&str>,
        listen: impl FnOnce(&Arc<Connection>),
    ) -> Result<Arc<Connection>, Refusal> {
        let inspector = self.commands().and_then(|commands| commands.inspector.clone());
        let refuse = |words| {
            self.close_refused(link);
            Err(Refusal::Operator(words))
        };
        let Some(inspector) = inspector else { return refuse(NO_NAMESPACE) };
        let id = Ids.next();
        let admitted = inspector.clone().admit(id, link.address, auth.map(Into::into));
        // The refusal comes before the engine gives a session up that nobody has entered.
        let admitted = timeout(self.connect_timeout * 4 / 5, admitted).await;
        if let Err(words) = admitted.unwrap_or(Err(BUSY)) {
            metrics::handshakes_refused("operator").increment(1);
            return refuse(words);
        }
        link.admit();
        let context = self.context.clone();
        let connection = Connection::new(id, Namespace::Admin, None, link.clone(), context, None);
        listen(&connection);
        connection.register(false);
        Ok(connection)
    }
}
