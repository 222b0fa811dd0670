//! The model: what was promised to whom, and until when.
//!
//! It knows no tables, no collector, no files. A blob of a repository **must**
//! be there while it is promised or needed, must **not** be there if it never
//! was, was deleted, or was seen to be gone; otherwise it may be either.

use std::time::Duration;

use landfall_clock::Timestamp;

use super::{
    history::Entry,
    universe::{BLOBS, MANIFESTS, REPOSITORIES, TAGS, UNIVERSE},
};
use crate::world::PROMISE;

/// What must be true of a blob in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    There,
    Gone,
    Either,
}

/// A manifest in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    Never,
    Visible,
    /// Deleted; it needs its blobs until then.
    Hidden(Timestamp),
}

#[derive(Debug, Clone)]
pub(crate) struct Repository {
    /// For each blob, until when it is promised; `None` if it must be gone.
    promised: [Option<Timestamp>; BLOBS],
    pub(crate) manifests: [Shown; MANIFESTS],
    pub(crate) tags: [Option<usize>; TAGS.len()],
    /// The act that has hidden each manifest, for those that are hidden.
    pub(super) hidden_by: [usize; MANIFESTS],
    /// What happened to each tag, the newest last.
    pub(super) history: [Vec<Entry>; TAGS.len()],
}

#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) now: Timestamp,
    pub(super) undo: Duration,
    /// Deletions so far.
    deletions: usize,
    pub(crate) repositories: [Repository; REPOSITORIES],
}

impl Repository {
    const EMPTY: Self = Self {
        promised: [None; BLOBS],
        manifests: [Shown::Never; MANIFESTS],
        tags: [None; TAGS.len()],
        hidden_by: [0; MANIFESTS],
        history: [const { Vec::new() }; TAGS.len()],
    };

    /// Whether a manifest for which `counts` needs the blob.
    fn needs(&self, blob: usize, counts: impl Fn(Shown) -> bool) -> bool {
        let mut manifests = self.manifests.iter().zip(&UNIVERSE.manifests);
        manifests.any(|(shown, template)| counts(*shown) && template.blobs.contains(&blob))
    }

    /// Whether a manifest that can be seen needs the blob.
    pub(crate) fn uses(&self, blob: usize) -> bool {
        self.needs(blob, |shown| shown == Shown::Visible)
    }

    /// Whether a manifest for which `counts` has this one as its child.
    fn has_parent(&self, child: usize, counts: impl Fn(Shown) -> bool) -> bool {
        let mut manifests = self.manifests.iter().zip(&UNIVERSE.manifests);
        manifests.any(|(shown, template)| counts(*shown) && template.children.contains(&child))
    }

    fn is_tagged(&self, manifest: usize) -> bool {
        self.tags.contains(&Some(manifest))
    }
}

impl Model {
    pub(crate) fn new(now: Timestamp, undo: Duration) -> Self {
        Self {
            now,
            undo,
            deletions: 0,
            repositories: [const { Repository::EMPTY }; REPOSITORIES],
        }
    }

    pub(crate) fn expected(&self, repository: usize, blob: usize) -> Expected {
        let found = &self.repositories[repository];
        let needed = found.needs(blob, |shown| match shown {
            Shown::Visible => true,
            Shown::Hidden(until) => self.now < until,
            Shown::Never => false,
        });
        match found.promised[blob] {
            None => Expected::Gone,
            Some(until) if needed || self.now < until => Expected::There,
            Some(_) => Expected::Either,
        }
    }

    /// A positive answer about the blob was given.
    pub(crate) fn promise(&mut self, repository: usize, blob: usize) {
        self.keep(repository, blob, self.now + PROMISE);
    }

    fn keep(&mut self, repository: usize, blob: usize, until: Timestamp) {
        let promised = &mut self.repositories[repository].promised[blob];
        *promised = (*promised).max(Some(until));
    }

    /// The blob was deleted, or seen to be gone.
    pub(crate) fn forget(&mut self, repository: usize, blob: usize) {
        self.repositories[repository].promised[blob] = None;
    }

    /// The blob was there, without a promise.
    pub(crate) fn saw(&mut self, repository: usize, blob: usize) {
        self.keep(repository, blob, self.now);
    }

    /// The manifest was pushed.
    pub(crate) fn put(&mut self, repository: usize, manifest: usize, tag: Option<usize>) {
        for blob in &UNIVERSE.manifests[manifest].blobs {
            self.saw(repository, *blob);
        }
        self.repositories[repository].manifests[manifest] = Shown::Visible;
        if let Some(tag) = tag {
            self.set_tag(repository, tag, Some(manifest), None);
        }
    }

    /// The manifest was deleted; with `purge` it may not be undone.
    pub(crate) fn hide(&mut self, repository: usize, manifest: usize, purge: bool) {
        self.deletions += 1;
        self.hide_by(repository, manifest, purge);
    }

    fn hide_by(&mut self, repository: usize, manifest: usize, purge: bool) {
        let window = if purge { Duration::ZERO } else { self.undo };
        let until = self.now + window;
        let by = self.deletions;
        let found = &mut self.repositories[repository];
        found.manifests[manifest] = Shown::Hidden(until);
        found.hidden_by[manifest] = by;
        for tag in 0..TAGS.len() {
            if self.repositories[repository].tags[tag] == Some(manifest) {
                self.set_tag(repository, tag, None, Some(by));
            }
        }
        // A reference ends like an answer: with a promise.
        for blob in &UNIVERSE.manifests[manifest].blobs {
            if self.repositories[repository].promised[*blob].is_some() {
                self.promise(repository, *blob);
            }
        }
    }

    /// The image of a tag was deleted; the manifests that go.
    pub(crate) fn hide_image(
        &mut self,
        repository: usize,
        tag: usize,
        purge: bool,
    ) -> Option<Vec<usize>> {
        let manifest = self.repositories[repository].tags[tag]?;
        // Where nothing can be undone, what can be brought back holds as well.
        let now = self.now;
        let holds = |shown| match shown {
            Shown::Visible => true,
            Shown::Hidden(until) => purge && now < until,
            Shown::Never => false,
        };
        let found = &self.repositories[repository];
        let mut others = found.tags.iter().enumerate();
        let tagged = others.any(|(other, at)| other != tag && *at == Some(manifest));
        if tagged || found.has_parent(manifest, holds) {
            self.set_tag(repository, tag, None, None);
            return Some(Vec::new());
        }
        self.hide(repository, manifest, purge);
        let mut gone = vec![manifest];
        // No child of the universe has children.
        for child in &UNIVERSE.manifests[manifest].children {
            let found = &self.repositories[repository];
            let held = found.is_tagged(*child) || found.has_parent(*child, holds);
            let needed = purge && self.may_go_back(repository, *child);
            if found.manifests[*child] == Shown::Visible && !held && !needed {
                self.hide_by(repository, *child, purge);
                gone.push(*child);
            }
        }
        Some(gone)
    }

    pub(crate) fn delete_repository(&mut self, repository: usize) {
        self.repositories[repository] = Repository::EMPTY;
    }

    /// A run that grants less than the promise breaks promises.
    pub(crate) fn collected(&mut self, grace: Option<Duration>) {
        let Some(grace) = grace.filter(|grace| *grace < PROMISE) else {
            return;
        };
        let now = self.now;
        for repository in &mut self.repositories {
            for promised in repository.promised.iter_mut().flatten() {
                // Given at `promised - PROMISE`, and kept for `grace`.
                if *promised + grace <= now + PROMISE {
                    *promised = (*promised).min(now);
                }
            }
        }
    }
}
