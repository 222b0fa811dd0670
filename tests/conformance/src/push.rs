//! The workflow category "Push".

mod cancel;
mod chunks;
mod chunks_out_of_order;
mod manifest_limits;
mod manifests;
mod missing_content;
mod mounting;
mod post_then_put;
mod single_post;
mod subject;

use crate::Check;

pub(crate) fn checks() -> Vec<Check> {
    [
        post_then_put::checks(),
        single_post::checks(),
        chunks::checks(),
        chunks_out_of_order::checks(),
        cancel::checks(),
        mounting::checks(),
        manifests::checks(),
        manifest_limits::checks(),
        missing_content::checks(),
        subject::checks(),
    ]
    .concat()
}
