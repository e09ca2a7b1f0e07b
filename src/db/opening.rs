//! What a store is opened for, which its engine has to know.

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// To work with it: it is made where there is none, and its tables are brought up to date.
    Work,
    /// The same, to take in much at once.
    Fill,
    /// To read it as it is: one that is not there, or is of another version, is refused.
    AsItIs,
    /// To try something on a copy, which is of no use afterwards.
    Aside,
}
