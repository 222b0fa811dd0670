//! The copy itself: which images, in which order, and what came of it.

mod blob;
mod image;
mod open;
mod plan;
mod platform;
mod report;
mod request;
mod run;

pub use plan::{Item, Plan, plan};
pub use platform::{UnknownPlatform, WantedPlatform};
pub use report::{Counted, Event, ImageReport, Outcome, Report, Tally, Watch};
pub use request::{Request, Selection};
