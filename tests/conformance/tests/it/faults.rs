//! The faults that the proxy puts into answers, each with checks that have to
//! notice it.
//!
//! Most faults touch nothing that every check begins with (a new session, a
//! push that succeeds), so whoever notices them has looked. The last ones are
//! for checks that ask no more than that a request succeeds.

mod broad;
mod content;
mod lists;
mod sessions;

use crate::faulty_proxy::Fault;

/// A fault, and the checks that have to notice it.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) title: &'static str,
    pub(crate) fault: Fault,
    /// Names of checks.
    pub(crate) noticed_by: &'static [&'static str],
    /// Whether it is shown also to every check that noticed no fault so far.
    pub(crate) shown_to_all: bool,
}

const fn case(title: &'static str, noticed_by: &'static [&'static str], fault: Fault) -> Case {
    Case {
        title,
        fault,
        noticed_by,
        shown_to_all: false,
    }
}

const fn wide(title: &'static str, noticed_by: &'static [&'static str], fault: Fault) -> Case {
    Case {
        title,
        fault,
        noticed_by,
        shown_to_all: true,
    }
}

/// Every case, in the order they are tried.
pub(crate) fn all() -> Vec<Case> {
    [lists::CASES, content::CASES, sessions::CASES, broad::CASES].concat()
}
