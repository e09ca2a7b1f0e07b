//! Stores that are taken in from files, written into them, and copied.

mod backup;
mod checked;
mod imported;
mod large;
mod mappings;
mod paid;
mod refused;
mod said;
mod tables;
mod verb;
mod whole;
