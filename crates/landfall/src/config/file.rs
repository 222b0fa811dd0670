//! Settings from the TOML file.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    effective::Found,
    error::{ConfigError, Problem},
    setting,
    settings::{DATA, Preset, SECTIONS, SETTINGS},
    source::Source,
    suggest::nearest,
};

/// The file that is read without being asked for.
const NAME: &str = "landfall.toml";

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) found: Vec<(&'static str, Found)>,
    pub(super) problems: Vec<Problem>,
}

/// The file in the data folder, if it exists.
pub(super) fn beside_data(data: Option<&str>) -> Option<PathBuf> {
    let Preset::Is(default) = setting(DATA)?.default else {
        return None;
    };
    let path = Path::new(data.unwrap_or(default)).join(NAME);
    path.exists().then_some(path)
}

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<File, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    let place = Place { path, text: &text };
    let table = DeTable::parse(&text).map_err(|error| ConfigError::Syntax {
        path: path.to_owned(),
        line: place.line(error.span().unwrap_or_default()),
        message: error.message().to_owned(),
    })?;
    let mut file = File::default();
    for (key, value) in table.get_ref() {
        let section = SECTIONS
            .iter()
            .find(|(section, _)| section == key.get_ref());
        match (section, value.get_ref()) {
            (Some((section, _)), DeValue::Table(table)) => {
                for (key, value) in table {
                    let name = format!("{section}.{}", key.get_ref());
                    file.take(&name, &place, key.span(), value);
                }
            }
            (Some((section, _)), _) => file.problems.push(Problem::NotASection {
                section,
                at: place.source(key.span()),
            }),
            (None, _) => file.take(key.get_ref(), &place, key.span(), value),
        }
    }
    Ok(file)
}

/// Where in the file something is.
struct Place<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Place<'_> {
    fn line(&self, span: Range<usize>) -> usize {
        let before = self.text.get(..span.start).unwrap_or_default();
        before.matches('\n').count() + 1
    }

    fn source(&self, span: Range<usize>) -> Source {
        Source::File {
            path: self.path.to_owned(),
            line: self.line(span),
        }
    }
}

impl File {
    fn take(
        &mut self,
        name: &str,
        place: &Place<'_>,
        key: Range<usize>,
        value: &Spanned<DeValue<'_>>,
    ) {
        let source = place.source(key);
        let Some(setting) = setting(name) else {
            self.problems.push(Problem::UnknownKey {
                key: name.to_owned(),
                at: source,
                suggestion: meant(name),
            });
            return;
        };
        let value = match value.get_ref() {
            DeValue::String(text) => text.clone().into_owned(),
            DeValue::Boolean(value) => value.to_string(),
            DeValue::Integer(number) => number.to_string(),
            other => {
                self.problems.push(Problem::WrongValue {
                    name: setting.name,
                    value: format!("a TOML {}", other.type_str()),
                    at: source,
                    expected: setting.expected,
                });
                return;
            }
        };
        self.found.push((setting.name, Found { value, source }));
    }
}

/// The setting or section that a misspelt name probably means: the same key in
/// another section, or the nearest name.
fn meant(name: &str) -> Option<&'static str> {
    let names = || SETTINGS.iter().map(|setting| setting.name);
    let key = name.rsplit('.').next().unwrap_or(name);
    let elsewhere = names().find(|name| name.rsplit('.').next() == Some(key));
    let sections = SECTIONS.iter().map(|(section, _)| *section);
    elsewhere.or_else(|| nearest(name, names().chain(sections)))
}
