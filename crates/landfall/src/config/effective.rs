//! The values that hold, and where each came from.

use std::{borrow::Cow, collections::BTreeMap, path::Path};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::json;
use url::Url;

use super::{
    error::Problem,
    kind::Kind,
    settings::{Preset, SETTINGS, Setting},
    source::Source,
};

/// A value and its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) value: String,
    pub(super) source: Source,
}

/// What a path in a URL may not have as it is.
const NOT_IN_PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'?').add(b'#');

/// Every setting with its value, as text, and its source.
#[derive(Debug)]
pub(crate) struct Effective {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    setting: &'static Setting,
    /// `None` if the setting has no value.
    value: Option<String>,
    source: Source,
}

impl Effective {
    /// Adds the defaults to what was found.
    pub(super) fn new(mut found: BTreeMap<&'static str, Found>) -> Self {
        let mut rows: Vec<Row> = Vec::new();
        for setting in SETTINGS {
            let (value, source) = match (found.remove(setting.name), setting.default) {
                (Some(found), _) => (Some(found.value), found.source),
                (None, Preset::Is(value)) => (Some(value.to_owned()), Source::Default),
                (None, Preset::Unset) => (None, Source::Default),
                (None, Preset::InData { scheme, entry }) => {
                    // `data` is the first of all settings.
                    let data = rows.first().and_then(|row| row.value.as_deref());
                    let url = url_in(data.unwrap_or_default(), scheme, entry);
                    (Some(url), Source::Default)
                }
            };
            rows.push(Row {
                setting,
                value,
                source,
            });
        }
        Self { rows }
    }

    /// The value of a setting; a wrong one is noted.
    pub(super) fn read<K: Kind>(
        &self,
        name: &'static str,
        problems: &mut Vec<Problem>,
    ) -> Option<K::Value> {
        let row = self.rows.iter().find(|row| row.setting.name == name)?;
        let value = match &row.value {
            Some(text) => K::parse(text),
            None => K::unset(),
        };
        if value.is_none() {
            problems.push(Problem::WrongValue {
                name,
                value: row.shown().into_owned(),
                at: row.source.clone(),
                expected: K::EXPECTED,
            });
        }
        value
    }

    /// A table for people: setting, value, source.
    pub(crate) fn to_table(&self) -> String {
        let name_width = self.width(|row| row.setting.name.len());
        let value_width = self.width(|row| row.shown().chars().count());
        let mut table = format!(
            "{:name_width$}  {:value_width$}  SOURCE\n",
            "SETTING", "VALUE"
        );
        for row in &self.rows {
            let line = format!(
                "{:name_width$}  {:value_width$}  {}\n",
                row.setting.name,
                row.shown(),
                row.source
            );
            table.push_str(&line);
        }
        table
    }

    fn width(&self, of: impl Fn(&Row) -> usize) -> usize {
        let heading = "SETTING".len();
        self.rows.iter().map(of).max().unwrap_or(0).max(heading)
    }

    /// A JSON object: for each full name the value (a string or null) and the
    /// source.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let rows = self.rows.iter().map(|row| {
            let value = row.value.is_some().then(|| row.shown());
            let fields = json!({ "value": value, "source": row.source.to_string() });
            (row.setting.name.to_owned(), fields)
        });
        serde_json::Value::Object(rows.collect())
    }
}

impl Row {
    /// The value as it may be shown: a password in a URL is not.
    fn shown(&self) -> Cow<'_, str> {
        let Some(value) = &self.value else {
            return Cow::Borrowed("-");
        };
        if !value.contains(['@', '?']) {
            return Cow::Borrowed(value);
        }
        match Url::parse(value) {
            // Nothing of ours takes a secret there, but people try.
            Ok(url) if url.query_pairs().any(|(name, _)| is_secret(&name)) => Cow::Borrowed("***"),
            Ok(url) if url.password().is_none() => Cow::Borrowed(value),
            Ok(mut url) if url.has_host() => {
                // Refused only without a host.
                let _ = url.set_password(Some("***"));
                Cow::Owned(url.into())
            }
            Err(_) if !value.contains("://") => Cow::Borrowed(value),
            // A URL that can't be read: better too much than a secret in a
            // message.
            _ => Cow::Borrowed("***"),
        }
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    ["password", "secret", "token"]
        .iter()
        .any(|word| name.contains(word))
}

/// The URL of something in the data folder.
fn url_in(data: &str, scheme: &str, entry: &str) -> String {
    let path = Path::new(data).join(entry);
    let absolute = std::path::absolute(&path).unwrap_or(path);
    let path = absolute.to_string_lossy().into_owned();
    format!("{scheme}{}", utf8_percent_encode(&path, NOT_IN_PATH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_comes_first_for_the_defaults_of_others() {
        let first = SETTINGS.first().map(|setting| setting.name);
        assert_eq!(first, Some(crate::config::settings::DATA));
    }
}
