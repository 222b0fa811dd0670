//! The workflow category "Pull".

mod checking_existence;
mod pulling_blobs;
mod pulling_manifests;
mod range_requests;
mod registry_proxying;

use crate::Check;

pub(crate) fn checks() -> Vec<Check> {
    [
        pulling_manifests::checks(),
        pulling_blobs::checks(),
        range_requests::checks(),
        checking_existence::checks(),
        registry_proxying::checks(),
    ]
    .concat()
}
