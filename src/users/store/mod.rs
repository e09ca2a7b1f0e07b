//! Users in the store: what is known of them, who of them is shut out, and who is to be erased.

pub(super) mod erasures;
pub(super) mod moved;
pub(super) mod profiles;
pub(super) mod shut_out;
