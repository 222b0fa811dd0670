//! Lists of repositories: of those that the caller may read.
//!
//! Names are read in pages, and each page is asked for as a whole. A caller
//! who may read few of very many gets pages that are not full, and goes on from
//! where they end; so a request has an end too. Where that is a name that the
//! caller may not read, it gets the name sealed.

use landfall_identity::Caller;
use landfall_oci::RepositoryName;

use crate::Server;

/// Names that are read and asked for at once: for a short page, and at the most.
const FEW: usize = 100;
const AT_ONCE: usize = 1000;
/// Names that are looked at for one page, at the most.
const MOST: usize = 20_000;

/// Some repositories that the caller may read, in the order of their names.
pub(crate) struct Readable {
    pub(crate) names: Vec<RepositoryName>,
    /// Behind which place the next page starts, if there is one: a name of these,
    /// or a sealed one.
    pub(crate) next: Option<String>,
}

/// Why there is no list.
pub(crate) enum Error {
    Registry(landfall_registry::Error),
    Identity(landfall_identity::Error),
    /// The place to start behind is none that was given out here.
    Cursor,
}

/// What is told of [`Error::Cursor`].
pub(crate) const NO_CURSOR: &str =
    "`last` is no name, and no `last` of a page of this server; begin without it";

impl From<landfall_registry::Error> for Error {
    fn from(error: landfall_registry::Error) -> Self {
        Self::Registry(error)
    }
}

impl From<landfall_identity::Error> for Error {
    fn from(error: landfall_identity::Error) -> Self {
        Self::Identity(error)
    }
}

/// Up to `size` repositories after `last` that the caller may read.
pub(crate) async fn readable(
    server: &Server,
    caller: &Caller,
    last: Option<String>,
    size: usize,
) -> Result<Readable, Error> {
    let mut last = match last {
        Some(cursor) => Some(server.identity.cursor_open(cursor).ok_or(Error::Cursor)?),
        None => None,
    };
    let mut names: Vec<RepositoryName> = Vec::new();
    let mut looked_at = 0;
    let mut more = size > 0;
    let at_once = size.saturating_add(1).clamp(FEW, AT_ONCE);
    // One more than asked for tells whether there is a next page.
    while more && names.len() <= size && looked_at < MOST {
        let page = server
            .registry
            .repository_names(last.as_deref(), at_once)
            .await?;
        more = page.more;
        looked_at += page.entries.len();
        last = page.entries.last().map(ToString::to_string).or(last);
        let may = server.identity.readable(caller, &page.entries).await?;
        let readable = page.entries.into_iter().zip(may);
        names.extend(readable.filter_map(|(name, may)| may.then_some(name)));
    }
    let next = if names.len() > size {
        names.truncate(size);
        names.last().map(ToString::to_string)
    } else if more {
        // Whether the caller may read that one or not.
        last.map(|last| server.identity.cursor_seal(&last))
    } else {
        None
    };
    Ok(Readable { names, next })
}
