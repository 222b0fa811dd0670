//! Settings from the environment: `LANDFALL_<SECTION>_<KEY>`.

use std::{ffi::OsString, fmt, path::PathBuf};

use super::{
    effective::Found, error::Problem, settings::SETTINGS, source::Source, suggest::nearest,
};

const PREFIX: &str = "LANDFALL_";

/// Names the configuration file, like `--config`.
pub(super) const FILE: &str = "LANDFALL_CONFIG";

/// Variables of ours that are no settings: the first password, the master key,
/// the client's server and credentials, and the log filter.
const OTHERS: [&str; 9] = [
    "LANDFALL_ADMIN_PASSWORD",
    "LANDFALL_MASTER_KEY",
    "LANDFALL_SERVER",
    "LANDFALL_USER",
    "LANDFALL_PASSWORD",
    "LANDFALL_CA_CERTIFICATE",
    "LANDFALL_SRC_CREDS",
    "LANDFALL_DST_CREDS",
    "LANDFALL_LOG",
];

/// Something odd in the environment. Nothing depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Warning {
    /// The variable's name.
    pub(crate) variable: String,
    /// What was probably meant.
    pub(crate) suggestion: Option<String>,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown environment variable `{}`", self.variable)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, ": did you mean `{suggestion}`?"),
            None => f.write_str(": no setting has this name"),
        }
    }
}

/// What the environment says.
#[derive(Debug, Default)]
pub(super) struct Environment {
    pub(super) file: Option<PathBuf>,
    pub(super) found: Vec<(&'static str, Found)>,
    pub(super) warnings: Vec<Warning>,
    pub(super) problems: Vec<Problem>,
}

/// Reads the variables with our prefix. An empty one counts as not set, since
/// many tools can't unset a variable.
pub(super) fn read(variables: Vec<(OsString, OsString)>) -> Environment {
    let mut environment = Environment::default();
    for (variable, value) in variables {
        let Some(variable) = variable.to_str().filter(|name| name.starts_with(PREFIX)) else {
            continue;
        };
        if value.is_empty() || OTHERS.contains(&variable) {
            continue;
        }
        if variable == FILE {
            environment.file = Some(PathBuf::from(value));
            continue;
        }
        let setting = SETTINGS
            .iter()
            .find(|setting| setting.variable() == variable);
        let Some(setting) = setting else {
            environment.warnings.push(unknown(variable));
            continue;
        };
        let source = Source::Variable(variable.to_owned());
        match value.into_string() {
            Ok(value) => environment
                .found
                .push((setting.name, Found { value, source })),
            Err(value) => environment.problems.push(Problem::WrongValue {
                name: setting.name,
                value: value.to_string_lossy().into_owned(),
                at: source,
                expected: "UTF-8",
            }),
        }
    }
    environment
}

fn unknown(variable: &str) -> Warning {
    let names: Vec<String> = SETTINGS
        .iter()
        .map(super::settings::Setting::variable)
        .collect();
    let known = names.iter().map(String::as_str).chain(OTHERS).chain([FILE]);
    Warning {
        variable: variable.to_owned(),
        suggestion: nearest(variable, known).map(str::to_owned),
    }
}
