//! The workflow category "Content Discovery".

mod listing_referrers;
mod listing_tags;
mod paging_tags;
mod referrer_descriptors;
mod referrer_filters;

use crate::Check;

pub(crate) fn checks() -> Vec<Check> {
    [
        listing_tags::checks(),
        paging_tags::checks(),
        listing_referrers::checks(),
        referrer_descriptors::checks(),
        referrer_filters::checks(),
    ]
    .concat()
}
