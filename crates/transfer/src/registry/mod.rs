//! Registries: any that speak the OCI distribution protocol.

mod access;
mod answer;
mod challenge;
mod client;
mod download;
mod keychain;
mod list;
mod login;
mod place;
mod upload;

pub use access::{Access, Home};
pub use keychain::Keychain;
pub use login::Login;

pub(crate) use client::Registry;
pub(crate) use list::{catalog, tags};
pub(crate) use place::{RegistryRepository, fallback_tag};
