//! What the specification leaves open or to other documents: malformed names
//! and digests, SHA-512 (image specification, "Digests"), Docker's own media
//! types, conditional requests (RFC 9110), repositories kept apart.

mod conditional_requests;
mod docker_types;
mod isolation;
mod malformed;
mod sha512;

use crate::Check;

pub(crate) fn checks() -> Vec<Check> {
    [
        malformed::checks(),
        isolation::checks(),
        sha512::checks(),
        docker_types::checks(),
        conditional_requests::checks(),
    ]
    .concat()
}
