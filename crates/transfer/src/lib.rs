#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod content;
mod copy;
mod document;
mod error;
mod limits;
mod local;
mod pattern;
mod place;
mod registry;

pub use content::{Destination, Named, Opener, Source, Stored, Wanted};
pub use copy::{
    Counted, Event, ImageReport, Item, Outcome, Plan, Report, Request, Selection, Tally,
    UnknownPlatform, WantedPlatform, Watch, plan,
};
pub use document::Document;
pub use error::Error;
pub use limits::{Limits, Patience};
pub use pattern::{InvalidPattern, Pattern};
pub use place::{InvalidPlace, Names, Place, RegistryPlace, Repository};
pub use registry::{Access, Home, Keychain, Login};
