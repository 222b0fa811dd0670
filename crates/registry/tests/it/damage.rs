//! Bytes that are gone or wrong: noticed, told, and healed by the next push.

mod checks;
mod heals;
