//! One system call, as a trace tells it.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

/// What a file descriptor stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A file or directory, by its path at the time of the call.
    File(PathBuf),
    /// Anything else, as the trace names it, for example `socket:[4711]`.
    Other(String),
}

impl Target {
    /// The path, if the target is a file or directory.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Other(_) => None,
        }
    }
}

/// A system call that matters for durability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// `openat`.
    Open {
        /// The path that was opened.
        path: PathBuf,
        /// The flags as in the source, for example `O_RDWR|O_CREAT`.
        flags: String,
    },
    /// `read`, `recvfrom`.
    Read {
        /// Where the bytes come from.
        target: Target,
        /// The first bytes, as far as they were recorded.
        start: Vec<u8>,
    },
    /// `write`, `pwrite64`, `writev`, `pwritev`, `pwritev2`, `sendto`, `sendmsg`.
    Write {
        /// Where the bytes go.
        target: Target,
        /// The first bytes, as far as they were recorded.
        start: Vec<u8>,
    },
    /// `fsync` or `fdatasync`, of a file or a directory.
    Sync {
        /// What is synced.
        target: Target,
        /// True for `fdatasync`.
        data_only: bool,
    },
    /// `sync_file_range`: starts writing, makes nothing durable.
    SyncRange {
        /// The file.
        target: Target,
    },
    /// `rename`, `renameat`, `renameat2`.
    Rename {
        /// The old path.
        from: PathBuf,
        /// The new path.
        to: PathBuf,
    },
    /// `close`.
    Close {
        /// What is closed.
        target: Target,
    },
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It returned this, not an error.
    Returned(i64),
    /// It failed with this error, for example `ENOSPC`.
    Failed(String),
    /// Its end is not in the trace.
    Unfinished,
}

/// A system call in a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The line on which it began, from 1.
    pub line: usize,
    /// The line on which it ended; the same one if nothing came in between.
    /// `None` if its end is not in the trace.
    pub ended: Option<usize>,
    /// When it began, since the Unix epoch, in microseconds' precision.
    pub at: Duration,
    /// The thread that made it.
    pub thread: u32,
    /// What was called.
    pub call: Call,
    /// How it ended.
    pub outcome: Outcome,
    /// The call and its result as they were recorded.
    pub text: String,
}

impl Event {
    /// Whether this call had ended when `other` began.
    pub fn is_before(&self, other: &Self) -> bool {
        self.ended.is_some_and(|ended| ended < other.line)
    }
}

/// Text is shown up to this many characters.
const SHOWN: usize = 160;

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.text.chars().take(SHOWN).collect();
        let more = if shown.len() < self.text.len() {
            ".."
        } else {
            ""
        };
        let (seconds, micros) = (self.at.as_secs(), self.at.subsec_micros());
        write!(f, "line {} ", self.line)?;
        if let Some(ended) = self.ended.filter(|ended| *ended != self.line) {
            write!(f, "(ended on {ended}) ")?;
        }
        write!(f, "{seconds}.{micros:06} [{}] {shown}{more}", self.thread)
    }
}
