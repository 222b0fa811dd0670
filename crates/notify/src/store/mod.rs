//! The tables and their SQL, one file for each noun.

pub(crate) mod deliveries;
pub(crate) mod lines;
pub(crate) mod webhooks;
