//! What can be wrong with a configuration.

use std::{fmt, io, path::PathBuf};

use super::source::Source;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file can't be read.
    #[error("can't read the configuration `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("`{}` line {line} is not TOML: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Counted from one.
        line: usize,
        /// What the parser said.
        message: String,
    },
    /// Settings are unknown, wrong or contradict each other.
    #[error("{0}")]
    Invalid(Problems),
}

/// Everything that is wrong with the settings; one line each.
#[derive(Debug)]
pub(crate) struct Problems(pub(crate) Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// One thing that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The file has a key that is no setting.
    UnknownKey {
        /// The full name.
        key: String,
        /// A line of the file.
        at: Source,
        /// What was probably meant.
        suggestion: Option<&'static str>,
    },
    /// The file has a value where a section belongs.
    NotASection {
        /// The section's name.
        section: &'static str,
        /// A line of the file.
        at: Source,
    },
    /// A value is not of its setting's kind.
    WrongValue {
        /// The full name.
        name: &'static str,
        /// The value, with secrets masked.
        value: String,
        /// Where it came from.
        at: Source,
        /// What a value looks like.
        expected: &'static str,
    },
    /// Of two settings that belong together one is missing.
    Alone {
        /// The full name of the one that is set.
        set: &'static str,
        /// The full name of the other.
        missing: &'static str,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey {
                key,
                at,
                suggestion,
            } => {
                write!(f, "unknown key `{key}` in {at}")?;
                match suggestion {
                    Some(suggestion) => write!(f, ": did you mean `{suggestion}`?"),
                    None => write!(f, ": `landfall config show` lists all keys"),
                }
            }
            Self::NotASection { section, at } => write!(
                f,
                "`{section}` in {at} is a section: write `[{section}]` and its keys below it"
            ),
            Self::WrongValue {
                name,
                value,
                at,
                expected,
            } => write!(
                f,
                "wrong value `{value}` for `{name}` in {at}: expected {expected}"
            ),
            Self::Alone { set, missing } => {
                write!(f, "`{set}` is set, `{missing}` is not: TLS needs both")
            }
        }
    }
}
