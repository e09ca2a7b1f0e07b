//! The lines of this room: whose tokens are revoked, and what of people stands in a user's line
//! (docs/moving.md).

mod revocation;
mod user;

pub use self::{
    revocation::RevocationLine,
    user::{BlockPart, ProfilePart, UserPart, UserWalk},
};
