//! The workflow category "Content Management".

mod deleting_blobs;
mod deleting_manifests;
mod deleting_tags;

use crate::Check;

pub(crate) fn checks() -> Vec<Check> {
    [
        deleting_tags::checks(),
        deleting_manifests::checks(),
        deleting_blobs::checks(),
    ]
    .concat()
}
