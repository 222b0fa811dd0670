//! Reading JSON that somebody hostile wrote.
//!
//! Nothing is built but what is asked for: an object is a list of its known
//! fields that point into the text, so memory grows with the number of fields
//! that were asked for and not with what else the document holds. Lists draw
//! on a budget that is shared by the whole document.
//!
//! Two readers must not see two different documents, so a known field may be
//! there once only. Many clients are written in Go, whose `encoding/json`
//! takes the last of repeated fields and ignores case when it compares names
//! (by Unicode's simple folding, so that U+017F is an `s` and U+212A a `k`).
//! A name that such a reader takes for a known field counts as that field.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{ManifestError, limits::Budget};
use crate::shorten::shorten;

/// The known fields of one object of the document.
pub(super) struct Object<'a> {
    /// Where it stands in the document; empty for the document itself.
    path: String,
    fields: Vec<(&'static str, &'a RawValue)>,
    budget: &'a Budget,
}

impl<'a> Object<'a> {
    /// The document itself.
    pub(super) fn document(
        text: &'a str,
        names: &'static [&'static str],
        budget: &'a Budget,
    ) -> Result<Self, ManifestError> {
        let whole: &RawValue = serde_json::from_str(text).map_err(|error| ManifestError::Json {
            reason: error.to_string(),
        })?;
        Self::parse(whole, String::new(), names, budget)
    }

    fn parse(
        raw: &'a RawValue,
        path: String,
        names: &'static [&'static str],
        budget: &'a Budget,
    ) -> Result<Self, ManifestError> {
        let text = raw.get();
        if !text.starts_with('{') {
            return Err(if path.is_empty() {
                ManifestError::Json {
                    reason: "an object is expected".to_owned(),
                }
            } else {
                invalid(path, "an object is expected")
            });
        }
        let mut ambiguous = None;
        let fields = Fields {
            names,
            ambiguous: &mut ambiguous,
        };
        match serde_json::Deserializer::from_str(text).deserialize_map(fields) {
            Ok(fields) => Ok(Self {
                path,
                fields,
                budget,
            }),
            Err(error) => Err(match ambiguous {
                Some((name, given)) if given == name => ManifestError::Repeated {
                    path: join(&path, name),
                },
                Some((name, given)) => ManifestError::Misspelled {
                    path: join(&path, name),
                    given: shorten(&given),
                },
                None => ManifestError::Json {
                    reason: error.to_string(),
                },
            }),
        }
    }

    /// The path of a field of this object.
    pub(super) fn path(&self, name: &str) -> String {
        join(&self.path, name)
    }

    /// Whether the field is there, be it `null`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(field, _)| *field == name)
    }

    /// Whether the field is there and not `null`.
    pub(super) fn has_value(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The field, unless it is `null` or not there.
    fn get(&self, name: &str) -> Option<&'a RawValue> {
        let (_, raw) = self.fields.iter().find(|(field, _)| *field == name)?;
        (raw.get() != "null").then_some(raw)
    }

    /// Makes an optional field a required one.
    pub(super) fn require<T>(&self, name: &str, value: Option<T>) -> Result<T, ManifestError> {
        value.ok_or_else(|| ManifestError::Missing {
            path: self.path(name),
        })
    }

    pub(super) fn string(&self, name: &str) -> Result<Option<String>, ManifestError> {
        self.get(name)
            .map(|raw| string(raw, || self.path(name)))
            .transpose()
    }

    /// A string that has a meaning; an empty one has none.
    pub(super) fn parsed<T>(&self, name: &str) -> Result<Option<T>, ManifestError>
    where
        T: FromStr<Err: fmt::Display>,
    {
        self.string(name)?
            .filter(|text| !text.is_empty())
            .map(|text| {
                text.parse()
                    .map_err(|error| invalid(self.path(name), error))
            })
            .transpose()
    }

    /// A whole number that fits into 63 bits.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, ManifestError> {
        let Some(raw) = self.get(name) else {
            return Ok(None);
        };
        match raw.get().parse::<i64>().map(u64::try_from) {
            Ok(Ok(number)) => Ok(Some(number)),
            _ => Err(invalid(
                self.path(name),
                "a whole number is expected, not negative and less than 2^63",
            )),
        }
    }

    pub(super) fn object(
        &self,
        name: &str,
        names: &'static [&'static str],
    ) -> Result<Option<Self>, ManifestError> {
        self.get(name)
            .map(|raw| Self::parse(raw, self.path(name), names, self.budget))
            .transpose()
    }

    /// A list of objects, each of which is turned into a `T` as it is read.
    pub(super) fn objects<T>(
        &self,
        name: &str,
        names: &'static [&'static str],
        mut each: impl FnMut(&Self) -> Result<T, ManifestError>,
    ) -> Result<Vec<T>, ManifestError> {
        let mut index = 0_usize;
        self.list(name, |raw| {
            let path = format!("{}[{index}]", self.path(name));
            index += 1;
            each(&Self::parse(raw, path, names, self.budget)?)
        })
    }

    pub(super) fn strings(&self, name: &str) -> Result<Vec<String>, ManifestError> {
        self.list(name, |raw| {
            self.budget.take_entry()?;
            string(raw, || self.path(name))
        })
    }

    fn list<T>(
        &self,
        name: &str,
        each: impl FnMut(&'a RawValue) -> Result<T, ManifestError>,
    ) -> Result<Vec<T>, ManifestError> {
        let Some(raw) = self.get(name) else {
            return Ok(Vec::new());
        };
        let mut failure = None;
        let elements = Elements {
            each,
            failure: &mut failure,
        };
        serde_json::Deserializer::from_str(raw.get())
            .deserialize_seq(elements)
            .map_err(|_| failure.unwrap_or_else(|| invalid(self.path(name), "a list is expected")))
    }

    pub(super) fn string_map(&self, name: &str) -> Result<BTreeMap<String, String>, ManifestError> {
        let Some(raw) = self.get(name) else {
            return Ok(BTreeMap::new());
        };
        let mut failure = None;
        let entries = Entries {
            budget: self.budget,
            failure: &mut failure,
        };
        serde_json::Deserializer::from_str(raw.get())
            .deserialize_map(entries)
            .map_err(|_| {
                failure.unwrap_or_else(|| {
                    invalid(
                        self.path(name),
                        "an object whose values are strings is expected",
                    )
                })
            })
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

pub(super) fn invalid(path: String, reason: impl fmt::Display) -> ManifestError {
    ManifestError::Invalid {
        path,
        reason: reason.to_string(),
    }
}

fn string(raw: &RawValue, path: impl FnOnce() -> String) -> Result<String, ManifestError> {
    serde_json::from_str(raw.get()).map_err(|_| invalid(path(), "a string is expected"))
}

/// Whether a reader that ignores case takes `key` for the field `name`.
fn is_spelling_of(key: &str, name: &str) -> bool {
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    key.chars().map(fold).eq(name.chars().map(fold))
}

/// Visits an object, and keeps where its known fields are.
struct Fields<'r> {
    names: &'static [&'static str],
    /// A field that readers could disagree on, and its name as it is spelled.
    ambiguous: &'r mut Option<(&'static str, String)>,
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = Vec<(&'static str, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields: Self::Value = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let Some(&name) = self.names.iter().find(|name| is_spelling_of(&key, name)) else {
                map.next_value::<de::IgnoredAny>()?;
                continue;
            };
            if key != name || fields.iter().any(|(known, _)| *known == name) {
                *self.ambiguous = Some((name, key));
                return Err(de::Error::custom("an ambiguous field"));
            }
            fields.push((name, map.next_value()?));
        }
        Ok(fields)
    }
}

/// Visits a list, and turns each element into a `T`.
struct Elements<'r, F> {
    each: F,
    failure: &'r mut Option<ManifestError>,
}

impl<'de, T, F: FnMut(&'de RawValue) -> Result<T, ManifestError>> Visitor<'de> for Elements<'_, F> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut elements = Vec::new();
        while let Some(raw) = seq.next_element::<&RawValue>()? {
            match (self.each)(raw) {
                Ok(element) => elements.push(element),
                Err(failure) => {
                    *self.failure = Some(failure);
                    return Err(de::Error::custom("a wrong element"));
                }
            }
        }
        Ok(elements)
    }
}

/// Visits an object whose values are strings. Of a repeated key the last one
/// counts, as with every reader we know.
struct Entries<'r> {
    budget: &'r Budget,
    failure: &'r mut Option<ManifestError>,
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object whose values are strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((key, value)) = map.next_entry()? {
            if let Err(failure) = self.budget.take_entry() {
                *self.failure = Some(failure);
                return Err(de::Error::custom("too many entries"));
            }
            entries.insert(key, value);
        }
        Ok(entries)
    }
}
