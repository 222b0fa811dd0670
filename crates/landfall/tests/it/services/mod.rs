//! Landfall on PostgreSQL and S3.
//!
//! | file | subject |
//! |---|---|
//! | `suites` | the suites of the embedded stores, once more |
//! | `refusals` | what can be wrong at a start, each told in one sentence |
//! | `replicas` | several servers on one database and one bucket |
//! | `identity` | what one server takes away, the other refuses |
//! | `local_store` | one server for a store on a disk |
//! | `moving` | backups from one kind of database to the other |
//! | `redirects` | pulls straight from the bucket |

mod identity;
mod local_store;
mod moving;
mod redirects;
mod refusals;
mod replicas;
mod suites;

use crate::{backends::Backends, server::Options};

/// The master key of the servers that share a database here.
const MASTER_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// On these backends, with the key that all servers on them have.
fn shared(backends: &Backends) -> Options {
    Options::default()
        .on(backends)
        .set("LANDFALL_MASTER_KEY", MASTER_KEY)
}
