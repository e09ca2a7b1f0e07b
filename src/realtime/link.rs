//! A link: one Engine.IO session, under the connections (one for each namespace) that share it.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use smallvec::SmallVec;
use tokio::sync::Notify;

use super::{connection::Connection, lane::Lane, wire::PollingSession};
use crate::{
    event::Namespace,
    limits::{Admission, Place},
};

/// One Engine.IO session.
pub(super) struct Link {
    /// The client's address, as far as proxies are trusted.
    pub(super) address: IpAddr,
    /// The shard of the hub that every connection of this link belongs to.
    pub(super) shard: usize,
    /// The token that came with the request, in a header or a cookie.
    pub(super) token: Option<Box<str>>,
    v3: bool,
    polling: OnceLock<PollingSession>,
    state: Mutex<State>,
    paused: AtomicBool,
    resumed: Notify,
}

#[derive(Default)]
struct State {
    lane: Option<Arc<Lane>>,
    connections: SmallVec<[Weak<Connection>; 1]>,
    /// Counts against the address until somebody has shown who they are.
    admission: Option<Admission>,
    /// Counts against the address while the transport lives.
    place: Option<Place>,
}

impl Link {
    pub(super) fn new(
        address: IpAddr,
        shard: usize,
        token: Option<Box<str>>,
        v3: bool,
        (place, admission): (Place, Admission),
    ) -> Arc<Self> {
        Arc::new(Self {
            address,
            shard,
            token,
            v3,
            polling: OnceLock::new(),
            state: Mutex::new(State {
                admission: Some(admission),
                place: Some(place),
                ..State::default()
            }),
            paused: AtomicBool::new(false),
            resumed: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the client speaks Engine.IO 3 (socket.io-client 2.x).
    pub(super) fn is_v3(&self) -> bool {
        self.v3
    }

    /// The link's websocket, from the start.
    pub(super) fn start_on(&self, lane: Arc<Lane>) {
        self.lock().lane = Some(lane);
    }

    /// The link's polling session, known once the engine has named it.
    pub(super) fn set_polling(&self, session: PollingSession) {
        // A session is named once; a second name would be another link's.
        let _ = self.polling.set(session);
    }

    /// Somebody has shown who they are: the link no longer counts as a stranger's.
    pub(super) fn admit(&self) {
        self.lock().admission = None;
    }

    /// The transport has closed. The engine may keep the link for a while, the address no longer
    /// has to answer for it.
    pub(super) fn vacate(&self) {
        let mut state = self.lock();
        state.admission = None;
        state.place = None;
    }

    /// Adds a connection; answers with the websocket, when there is one, whose frames for this
    /// namespace wait from now on for the connection's CONNECT.
    pub(super) fn register(&self, connection: &Arc<Connection>) -> Option<Arc<Lane>> {
        let mut state = self.lock();
        state.connections.retain(|other| other.strong_count() > 0);
        state.connections.push(Arc::downgrade(connection));
        let lane = state.lane.clone()?;
        lane.hold(connection.namespace());
        Some(lane)
    }

    /// The open connection of a namespace.
    pub(super) fn connection(&self, namespace: Namespace) -> Option<Arc<Connection>> {
        let state = self.lock();
        let open = state.connections.iter().rev().filter_map(Weak::upgrade);
        open.into_iter().find(|connection| connection.namespace() == namespace)
    }

    /// The polling session has come over to a websocket: what is sent from now on goes there,
    /// after what the engine still has. False when it came over to another one before.
    pub(super) fn change_over(&self, lane: &Arc<Lane>) -> bool {
        let mut state = self.lock();
        if state.lane.is_some() {
            return false;
        }
        state.lane = Some(lane.clone());
        for connection in state.connections.iter().filter_map(Weak::upgrade) {
            connection.change_over(lane.clone());
        }
        true
    }

    /// Stops or resumes reading what the client sends.
    pub(super) fn pause(&self, paused: bool) {
        if self.paused.swap(paused, Ordering::AcqRel) == paused {
            return;
        }
        if let Some(lane) = &self.lock().lane {
            lane.pause(paused);
        }
        if !paused {
            self.resumed.notify_waiters();
        }
    }

    /// Waits until what the client sends is read again.
    pub(super) async fn resumed(&self) {
        loop {
            let resumed = self.resumed.notified();
            if !self.paused.load(Ordering::Acquire) {
                return;
            }
            resumed.await;
        }
    }

    /// The polling session, where there is one.
    pub(super) fn polling(&self) -> Option<&PollingSession> {
        self.polling.get()
    }

    /// Ends the polling session, if it still is one.
    pub(super) fn close_polling(&self) {
        if let Some(session) = self.polling.get() {
            session.close();
        }
    }
}
