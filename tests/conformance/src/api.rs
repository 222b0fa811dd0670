//! The chapter "API": support, error codes, warnings.

mod determining_support;
mod error_bodies;
mod error_codes;
mod warnings;

use crate::Check;

pub(crate) fn checks() -> Vec<Check> {
    [
        determining_support::checks(),
        error_bodies::checks(),
        error_codes::checks(),
        warnings::checks(),
    ]
    .concat()
}
