//! Stores that are taken in from files, written into them, and copied.

mod backup;
mod imported;
mod large;
mod mappings;
mod paid;
mod refused;
mod tables;
mod verb;
mod whole;
