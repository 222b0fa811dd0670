//! The model of what happened to tags, and of what can be undone.

use landfall_clock::Timestamp;

use super::{
    promises::{Model, Shown},
    universe::{MANIFESTS, TAGS, UNIVERSE},
};

/// What happened to a tag once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    before: Option<usize>,
    at: Timestamp,
    /// The deletion of an image that took the tag along.
    deletion: Option<usize>,
}

impl Model {
    /// The tag points there now, or is gone.
    pub(crate) fn set_tag(
        &mut self,
        repository: usize,
        tag: usize,
        to: Option<usize>,
        deletion: Option<usize>,
    ) {
        let at = self.now;
        let found = &mut self.repositories[repository];
        let before = std::mem::replace(&mut found.tags[tag], to);
        if before != to {
            found.history[tag].push(Entry {
                before,
                at,
                deletion,
            });
        }
    }

    /// Whether a tag can still be set back to the manifest.
    pub(crate) fn may_go_back(&self, repository: usize, manifest: usize) -> bool {
        let histories = self.repositories[repository].history.iter();
        let mut entries = histories.flatten();
        entries.any(|entry| entry.before == Some(manifest) && self.now < entry.at + self.undo)
    }

    /// What happened to the tag last is undone; `false` if that is impossible.
    pub(crate) fn undo_tag(&mut self, repository: usize, tag: usize) -> bool {
        let found = &self.repositories[repository];
        let Some(last) = found.history[tag].last().copied() else {
            return false;
        };
        let gone = |manifest: usize| found.manifests[manifest] != Shown::Visible;
        if self.now >= last.at + self.undo || last.before.is_some_and(gone) {
            return false;
        }
        self.set_tag(repository, tag, last.before, None);
        true
    }

    /// A deleted manifest is restored, with what the same act took along; the
    /// manifests and tags that came back, or `None` if that is impossible.
    pub(crate) fn restore(
        &mut self,
        repository: usize,
        manifest: usize,
    ) -> Option<(Vec<usize>, Vec<usize>)> {
        let found = &self.repositories[repository];
        match found.manifests[manifest] {
            Shown::Hidden(until) if self.now < until => {}
            _ => return None,
        }
        let act = found.hidden_by[manifest];
        let with = |other: &usize| {
            let hidden = matches!(found.manifests[*other], Shown::Hidden(_));
            hidden && found.hidden_by[*other] == act
        };
        let manifests: Vec<usize> = (0..MANIFESTS).filter(with).collect();
        for other in &manifests {
            self.repositories[repository].manifests[*other] = Shown::Visible;
            for blob in &UNIVERSE.manifests[*other].blobs {
                self.saw(repository, *blob);
            }
        }
        let mut tags = Vec::new();
        for tag in 0..TAGS.len() {
            let found = &self.repositories[repository];
            let last = found.history[tag].last().copied();
            let Some(last) = last.filter(|last| last.deletion == Some(act)) else {
                continue;
            };
            let visible = |at: &usize| found.manifests[*at] == Shown::Visible;
            if let Some(before) = last.before.filter(visible) {
                self.set_tag(repository, tag, Some(before), None);
                tags.push(tag);
            }
        }
        Some((manifests, tags))
    }
}
