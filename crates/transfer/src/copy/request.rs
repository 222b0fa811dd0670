//! What somebody wants to be copied.

use crate::{Access, Pattern, Place, WantedPlatform};

/// A copy that is wanted.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where from.
    pub source: Place,
    /// Where to.
    pub destination: Place,
    /// How the source is reached, where it is a registry.
    pub source_access: Access,
    /// How the destination is reached, where it is a registry.
    pub destination_access: Access,
    /// Which images of a place that has several.
    pub selection: Selection,
    /// The image of one platform instead of the whole index.
    pub platform: Option<WantedPlatform>,
    /// Signatures, attestations and whatever else refers to an image, too.
    pub referrers: bool,
    /// How many layers are copied at once.
    pub jobs: usize,
}

/// Which images of a place that has several.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// All of them.
    pub all_tags: bool,
    /// Those whose tag matches one of these; none means all.
    pub tags: Vec<Pattern>,
    /// Without those whose tag matches one of these.
    pub exclude: Vec<Pattern>,
    /// The repositories to look at, each with or without a tag, where the
    /// registry doesn't list them or not all are wanted.
    pub repositories: Option<Vec<String>>,
}

impl Selection {
    /// Whether several images of a repository are wanted.
    pub(super) const fn is_many(&self) -> bool {
        self.all_tags || !self.tags.is_empty() || !self.exclude.is_empty()
    }

    /// Whether the image with this tag is wanted.
    pub(super) fn wants(&self, tag: &str) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(tag));
        (self.tags.is_empty() || any(&self.tags)) && !any(&self.exclude)
    }
}
