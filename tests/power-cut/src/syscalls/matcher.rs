//! Which events a step of an [`Order`](super::Order) means.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use super::event::{Call, Event, Outcome};

/// Paths that earlier steps have given a name.
pub(crate) type Bindings = BTreeMap<String, PathBuf>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Open,
    Read,
    Write,
    Sync,
    SyncRange,
    Rename,
    Close,
}

/// What is asked of one path.
#[derive(Debug, Clone, Default)]
struct PathRule {
    under: Option<PathBuf>,
    ends_with: Option<PathBuf>,
    same_as: Option<String>,
    parent_of: Option<String>,
    bind: Option<String>,
}

/// A description of events. It never matches a call that failed.
///
/// Conditions are on the file that is written, synced, opened or closed, and for
/// a rename on the old path; those that begin with `to_` are on its new path.
#[derive(Debug, Clone)]
pub struct EventMatch {
    kind: Kind,
    subject: PathRule,
    target: PathRule,
    starting_with: Option<Vec<u8>>,
}

impl EventMatch {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            subject: PathRule::default(),
            target: PathRule::default(),
            starting_with: None,
        }
    }

    /// An `openat`.
    pub fn open() -> Self {
        Self::new(Kind::Open)
    }

    /// A read from a socket, or from a file where its position is.
    pub fn read() -> Self {
        Self::new(Kind::Read)
    }

    /// A write to a file or a socket, by any call.
    pub fn write() -> Self {
        Self::new(Kind::Write)
    }

    /// An `fsync` or `fdatasync`.
    pub fn sync() -> Self {
        Self::new(Kind::Sync)
    }

    /// A `sync_file_range`.
    pub fn sync_range() -> Self {
        Self::new(Kind::SyncRange)
    }

    /// A rename, by any call.
    pub fn rename() -> Self {
        Self::new(Kind::Rename)
    }

    /// A `close`.
    pub fn close() -> Self {
        Self::new(Kind::Close)
    }

    /// The file is in this directory or below it. A relative directory may be
    /// anywhere: `staging` means every `.../staging/...`.
    #[must_use]
    pub fn under(mut self, directory: impl Into<PathBuf>) -> Self {
        self.subject.under = Some(directory.into());
        self
    }

    /// The path ends with these whole components.
    #[must_use]
    pub fn ends_with(mut self, path: impl Into<PathBuf>) -> Self {
        self.subject.ends_with = Some(path.into());
        self
    }

    /// The path is the one that an earlier step has bound to `name`.
    #[must_use]
    pub fn same_as(mut self, name: impl Into<String>) -> Self {
        self.subject.same_as = Some(name.into());
        self
    }

    /// The path is the directory of the one that an earlier step has bound.
    #[must_use]
    pub fn parent_of(mut self, name: impl Into<String>) -> Self {
        self.subject.parent_of = Some(name.into());
        self
    }

    /// Gives the path a name for later steps.
    #[must_use]
    pub fn bind(mut self, name: impl Into<String>) -> Self {
        self.subject.bind = Some(name.into());
        self
    }

    /// The new path of a rename is in this directory or below it.
    #[must_use]
    pub fn to_under(mut self, directory: impl Into<PathBuf>) -> Self {
        self.target.under = Some(directory.into());
        self
    }

    /// The new path of a rename ends with these whole components.
    #[must_use]
    pub fn to_ends_with(mut self, path: impl Into<PathBuf>) -> Self {
        self.target.ends_with = Some(path.into());
        self
    }

    /// Gives the new path of a rename a name for later steps.
    #[must_use]
    pub fn bind_to(mut self, name: impl Into<String>) -> Self {
        self.target.bind = Some(name.into());
        self
    }

    /// What is read or written starts with these bytes.
    #[must_use]
    pub fn starting_with(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.starting_with = Some(bytes.as_ref().to_vec());
        self
    }

    /// Whether the event matches, when no path is bound.
    pub fn matches(&self, event: &Event) -> bool {
        self.bound(event, &Bindings::new()).is_some()
    }

    /// The bindings after this event, if it matches under those before it.
    pub(crate) fn bound(&self, event: &Event, before: &Bindings) -> Option<Bindings> {
        if matches!(event.outcome, Outcome::Failed(_)) {
            return None;
        }
        let (kind, subject, target) = match &event.call {
            Call::Open { path, .. } => (Kind::Open, Some(path.as_path()), None),
            Call::Read { target, .. } => (Kind::Read, target.path(), None),
            Call::Write { target, .. } => (Kind::Write, target.path(), None),
            Call::Sync { target, .. } => (Kind::Sync, target.path(), None),
            Call::SyncRange { target } => (Kind::SyncRange, target.path(), None),
            Call::Close { target } => (Kind::Close, target.path(), None),
            Call::Rename { from, to } => (Kind::Rename, Some(from.as_path()), Some(to.as_path())),
        };
        let starts = match (&self.starting_with, &event.call) {
            (Some(wanted), Call::Read { start, .. } | Call::Write { start, .. }) => {
                start.starts_with(wanted)
            }
            (wanted, _) => wanted.is_none(),
        };
        if kind != self.kind || !starts {
            return None;
        }
        let mut bindings = before.clone();
        let both = self.subject.admits(subject, before, &mut bindings)
            && self.target.admits(target, before, &mut bindings);
        both.then_some(bindings)
    }
}

impl PathRule {
    fn is_empty(&self) -> bool {
        let paths = [&self.under, &self.ends_with];
        let names = [&self.same_as, &self.parent_of, &self.bind];
        paths.iter().all(|path| path.is_none()) && names.iter().all(|name| name.is_none())
    }

    fn admits(&self, path: Option<&Path>, before: &Bindings, after: &mut Bindings) -> bool {
        let Some(path) = path else {
            return self.is_empty();
        };
        let bound = |name: &Option<String>, is: &dyn Fn(&Path) -> bool| match name {
            Some(name) => before.get(name).is_some_and(|bound| is(bound)),
            None => true,
        };
        let admitted = self
            .under
            .as_ref()
            .is_none_or(|directory| is_under(path, directory))
            && self
                .ends_with
                .as_ref()
                .is_none_or(|end| path.ends_with(end))
            && bound(&self.same_as, &|bound| path == bound)
            && bound(&self.parent_of, &|bound| bound.parent() == Some(path));
        if admitted && let Some(name) = &self.bind {
            after.insert(name.clone(), path.to_owned());
        }
        admitted
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(directory) = &self.under {
            write!(f, " under `{}`", directory.display())?;
        }
        if let Some(end) = &self.ends_with {
            write!(f, " at `{}`", end.display())?;
        }
        if let Some(name) = &self.same_as {
            write!(f, " of the path bound to `{name}`")?;
        }
        if let Some(name) = &self.parent_of {
            write!(f, " of the directory of the path bound to `{name}`")?;
        }
        if let Some(name) = &self.bind {
            write!(f, " (bound to `{name}`)")?;
        }
        Ok(())
    }
}

fn is_under(path: &Path, directory: &Path) -> bool {
    let Some(parent) = path.parent() else {
        return false;
    };
    if directory.is_absolute() {
        return parent.starts_with(directory);
    }
    parent.ancestors().any(|parent| parent.ends_with(directory))
}

impl fmt::Display for EventMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Open => "open",
            Kind::Read => "read",
            Kind::Write => "write",
            Kind::Sync => "fsync or fdatasync",
            Kind::SyncRange => "sync_file_range",
            Kind::Rename => "rename",
            Kind::Close => "close",
        };
        f.write_str(kind)?;
        self.subject.describe(f)?;
        if !self.target.is_empty() {
            f.write_str(" to a path")?;
            self.target.describe(f)?;
        }
        if let Some(bytes) = &self.starting_with {
            write!(f, " that starts with `{}`", bytes.escape_ascii())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_matched_by_whole_components() {
        let under = |path: &str, directory: &str| is_under(path.as_ref(), directory.as_ref());
        assert!(under("/data/staging/ab/x", "staging"));
        assert!(under("/data/staging/ab/x", "staging/ab"));
        assert!(under("/data/staging/x", "/data"));
        assert!(!under("/data/staging", "staging"));
        assert!(!under("/data/old-staging/x", "staging"));
        assert!(!under("/other/data/x", "/data"));
    }
}
