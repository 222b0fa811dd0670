//! The process's limit of open files.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The soft limit of open files before and after [`raise_open_files`]; `None`
/// means that there is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFiles {
    /// What the process was started with.
    pub before: Option<u64>,
    /// What holds now.
    pub now: Option<u64>,
}

/// Raises the soft limit of open files to the hard one. Call it once, first
/// thing: shells and service managers often start a process with 1,024.
pub fn raise_open_files() -> io::Result<OpenFiles> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        setrlimit(Resource::Nofile, raised)?;
    }
    Ok(OpenFiles {
        before: limit.current,
        now: getrlimit(Resource::Nofile).current,
    })
}

/// How many of the wanted connections the limit of open files has room for:
/// a fifth of the descriptors is kept for blobs and the database.
pub(super) fn connections_within_limit(wanted: usize) -> usize {
    match getrlimit(Resource::Nofile).current {
        Some(files) => wanted.min(usize::try_from(files / 5 * 4).unwrap_or(usize::MAX)),
        None => wanted,
    }
    .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let raised = raise_open_files().expect("raising within the hard limit is allowed");
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(raised.now, limit.maximum);
    }

    #[test]
    fn connections_leave_descriptors_for_other_files() {
        assert_eq!(connections_within_limit(1), 1);
        let all = connections_within_limit(usize::MAX);
        if let Some(files) = getrlimit(Resource::Nofile).current {
            assert!((all as u64) < files, "{all} of {files}");
        }
    }
}
