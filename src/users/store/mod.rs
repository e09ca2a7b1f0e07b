//! Users in the store: what is known of them, and who of them is shut out.

pub(super) mod profiles;
pub(super) mod shut_out;
