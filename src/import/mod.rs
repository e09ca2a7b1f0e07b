//! Beside the roof: what a store has as lines, taken in from files and told (docs/moving.md). Each room
//! brings its own lines; here they are read, put in order, and handed on in portions.

mod check;
mod export;
mod families;
mod files;
mod order;
mod progress;
mod sort;
mod streams;
mod take;
mod users;

pub use export::export;
pub use take::{Counts, Summary, check, import};
