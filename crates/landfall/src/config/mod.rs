//! Configuration: one TOML file, the environment, and flags.
//!
//! A flag wins over the environment, the environment over the file, the file
//! over the default. Every setting stands once in `settings`; the check of
//! the file, the variables, the flags, `landfall config show` and
//! `docs/configuration.md` all come from there.
//!
//! A mistake is never passed over: an unknown key of the file and a wrong
//! value from anywhere are errors that name their place, all of them at once.
//! Only an unknown variable is no more than a [`Warning`], because other
//! programs may use the prefix as well.

#[cfg(test)]
mod document;
mod effective;
mod environment;
mod error;
mod file;
mod flags;
mod kind;
mod quantity;
mod settings;
mod source;
mod suggest;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf};

use clap::ArgMatches;

use self::{
    effective::{Effective, Found},
    environment::Warning,
    error::{Problem, Problems},
    settings::{DATA, SETTINGS},
    source::Source,
};
pub(crate) use self::{
    error::ConfigError,
    flags::args,
    kind::{BlobsUrl, DatabaseUrl, LogFormat},
    settings::Config,
};

/// Where settings come from.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// The file to read, if it was named. Else `landfall.toml` in the data
    /// folder is read if it exists.
    pub(crate) file: Option<PathBuf>,
    /// Variables of the environment; those that are not ours are skipped.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// Flags that were given: full name of the setting, flag as it is
    /// written, value.
    pub(crate) flags: Vec<(&'static str, String, String)>,
}

/// A complete configuration, and how it came about.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The values.
    pub(crate) config: Config,
    /// Each setting with its source, for `landfall config show`.
    pub(crate) effective: Effective,
    /// What is odd, but not wrong.
    pub(crate) warnings: Vec<Warning>,
}

/// Loads the configuration of a command that has [`args`].
pub(crate) fn load(
    matches: &ArgMatches,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, ConfigError> {
    Config::load(Sources {
        file: flags::file(matches),
        environment: environment.into_iter().collect(),
        flags: flags::given(matches),
    })
}

impl Config {
    /// Brings the sources together.
    pub(crate) fn load(sources: Sources) -> Result<Loaded, ConfigError> {
        let environment = environment::read(sources.environment);
        let mut problems = environment.problems;
        let mut found: BTreeMap<&'static str, Found> = BTreeMap::new();
        found.extend(environment.found);
        for (name, flag, value) in sources.flags {
            let source = Source::Flag(flag);
            found.insert(name, Found { value, source });
        }
        let named = sources.file.or(environment.file);
        let path = match named {
            Some(path) => Some(path),
            None => file::beside_data(found.get(DATA).map(|found| found.value.as_str())),
        };
        if let Some(path) = path {
            let of_file = file::read(&path)?;
            problems.extend(of_file.problems);
            for (name, value) in of_file.found {
                found.entry(name).or_insert(value);
            }
        }
        let effective = Effective::new(found);
        let config = Self::read(&effective, &mut problems);
        if let Some(config) = &config {
            problems.extend(config.contradictions());
        }
        match config {
            Some(config) if problems.is_empty() => Ok(Loaded {
                config,
                effective,
                warnings: environment.warnings,
            }),
            _ => Err(ConfigError::Invalid(Problems(problems))),
        }
    }

    /// What no setting can know alone.
    fn contradictions(&self) -> Option<Problem> {
        let (set, missing) = match (&self.server.tls_certificate, &self.server.tls_key) {
            (Some(_), None) => ("server.tls_certificate", "server.tls_key"),
            (None, Some(_)) => ("server.tls_key", "server.tls_certificate"),
            _ => return None,
        };
        Some(Problem::Alone { set, missing })
    }
}

/// The setting of a full name, such as `server.listen`.
fn setting(name: &str) -> Option<&'static settings::Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}
