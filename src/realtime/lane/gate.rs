//! What the frames of a namespace wait for.

/// Whether a connection's frames may pass, and what they wait for until then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Gate {
    #[default]
    Closed,
    /// The engine has written the CONNECT.
    Connected,
    /// The shard knows the connection; what it sends before is for an earlier one.
    Registered,
    /// The connection comes from polling: the engine still has what goes before, perhaps its CONNECT,
    /// and after that the marker.
    Marker {
        /// Whether a CONNECT has passed, which is another connection's if one registers now.
        connected: bool,
    },
    /// Nothing.
    Open,
}

impl Gate {
    /// The CONNECT has passed.
    pub(super) fn connect(&mut self) {
        *self = match self {
            Self::Registered | Self::Open => Self::Open,
            Self::Marker { .. } => Self::Marker { connected: true },
            Self::Closed | Self::Connected => Self::Connected,
        };
    }

    /// A marker has passed, which may be an earlier connection's.
    pub(super) fn mark(&mut self) {
        if matches!(self, Self::Marker { .. }) {
            *self = Self::Open;
        }
    }

    /// Waits for the marker from now on.
    pub(super) fn await_marker(&mut self) {
        let connected =
            matches!(self, Self::Connected | Self::Open | Self::Marker { connected: true });
        *self = Self::Marker { connected };
    }

    /// The shard knows the connection.
    pub(super) fn register(&mut self) {
        *self = match self {
            Self::Connected | Self::Open | Self::Marker { connected: true } => Self::Open,
            Self::Closed | Self::Registered | Self::Marker { connected: false } => Self::Registered,
        };
    }

    pub(super) fn is_open(self) -> bool {
        self == Self::Open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_comes_from_polling_waits_for_its_marker_whatever_passes_before() {
        let mut gate = Gate::default();
        gate.await_marker();
        gate.connect();
        assert!(!gate.is_open(), "what the engine had after the CONNECT goes first");
        gate.mark();
        assert!(gate.is_open());
    }

    #[test]
    fn who_enters_after_one_whose_marker_never_comes_is_heard() {
        // The CONNECT passes before or after the earlier connection asks for its marker.
        for steps in [[Gate::connect, Gate::await_marker], [Gate::await_marker, Gate::connect]] {
            let mut gate = Gate::default();
            for step in steps {
                step(&mut gate);
            }
            gate.register();
            assert!(gate.is_open());
        }
        let mut gate = Gate::default();
        gate.await_marker();
        gate.register();
        gate.connect();
        assert!(gate.is_open());
    }

    #[test]
    fn an_earlier_connections_marker_opens_nothing() {
        for mut gate in [Gate::Closed, Gate::Connected, Gate::Registered] {
            let before = gate;
            gate.mark();
            assert_eq!(gate, before);
        }
    }
}
