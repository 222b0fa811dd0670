#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![expect(
    clippy::cast_precision_loss,
    reason = "figures are told with a few digits"
)]

pub mod account;
pub mod collect;
pub mod content;
mod error;
pub mod fetch;
pub mod fetch_tls;
pub mod identity;
pub mod images;
pub mod manifests;
pub mod percentiles;
pub mod push;
pub mod ready;
pub mod seed;
pub mod upload;
pub mod wire;
pub mod zipf;

pub use error::{Error, Result};
