//! `index.json` and `oci-layout` of the OCI image layout.
//!
//! Source: `image-layout.md` of the OCI image specification 1.1.

use bytes::Bytes;
use landfall_oci::{Descriptor, Manifest, MediaType};
use serde_json::{Map, Value, json};

use crate::{Error, Wanted};

/// The file that says that a folder is a layout, and how long it may be.
pub(super) const MARKER: &str = "oci-layout";
pub(super) const MARKER_SIZE: u64 = 4 << 10;

/// The file that lists the images.
pub(super) const INDEX: &str = "index.json";

/// What a new marker says.
pub(super) const MARKER_TEXT: &[u8] = b"{\"imageLayoutVersion\":\"1.0.0\"}";

/// The annotation that holds an image's name.
pub(super) const NAME: &str = "org.opencontainers.image.ref.name";

/// How many names a message lists.
const SHOWN: usize = 10;

/// Refuses a layout of another version than 1.
pub(super) fn check_marker(place: &str, marker: &[u8]) -> Result<(), Error> {
    let version = serde_json::from_slice::<Value>(marker)
        .ok()
        .and_then(|marker| marker["imageLayoutVersion"].as_str().map(str::to_owned));
    match version {
        Some(version) if version.starts_with("1.") => Ok(()),
        Some(version) => Err(Error::Refused(format!(
            "{place} is a layout of version `{}`, and only version 1 is known",
            crate::error::shorten(&version)
        ))),
        None => Err(Error::Refused(format!(
            "{place} has no version in its `{MARKER}`"
        ))),
    }
}

/// The entries of an index.
pub(super) fn entries(place: &str, index: &[u8]) -> Result<Vec<Descriptor>, Error> {
    let parsed = Manifest::parse(index, Some(MediaType::OCI_INDEX.as_str()))
        .map_err(|error| Error::Refused(format!("{place}, `{INDEX}`: {error}")))?;
    Ok(parsed.manifests)
}

/// The name of an entry, if it has one.
pub(super) fn name_of(entry: &Descriptor) -> Option<&str> {
    entry.annotations.get(NAME).map(String::as_str)
}

/// The entry that is wanted, where the index has it.
pub(super) fn choose<'a>(
    place: &str,
    entries: &'a [Descriptor],
    wanted: &Wanted,
) -> Result<&'a Descriptor, Error> {
    let names: Vec<&str> = entries.iter().filter_map(name_of).collect();
    let listed = || {
        let more = if names.len() > SHOWN { ", ..." } else { "" };
        let shown: Vec<String> = names
            .iter()
            .take(SHOWN)
            .map(|name| format!("`{name}`"))
            .collect();
        if shown.is_empty() {
            "its images have no names".to_owned()
        } else {
            format!("it has {}{more}", shown.join(", "))
        }
    };
    match wanted {
        Wanted::Digest(digest) => entries
            .iter()
            .find(|entry| entry.digest == *digest)
            .ok_or_else(|| Error::Missing(format!("{place} has no image `{digest}`"))),
        Wanted::Name(name) => {
            let exact = entries.iter().find(|entry| name_of(entry) == Some(name));
            // Some tools write the whole reference as the name.
            let suffix = format!(":{name}");
            let mut loose = entries
                .iter()
                .filter(|entry| name_of(entry).is_some_and(|name| name.ends_with(&suffix)));
            let only = loose.next().filter(|_| loose.next().is_none());
            exact.or(only).ok_or_else(|| {
                Error::Missing(format!("{place} has no image `{name}`: {}", listed()))
            })
        }
        Wanted::Only => {
            let mut candidates = entries.iter().filter(|entry| name_of(entry).is_some());
            match (entries, candidates.next(), candidates.next()) {
                ([], _, _) => Err(Error::Missing(format!("{place} has no image"))),
                ([only], _, _) | (_, Some(only), None) => Ok(only),
                _ => Err(Error::Refused(format!(
                    "{place} has several images, so name one: {}",
                    listed()
                ))),
            }
        }
    }
}

/// An index with a change made to its entries. What else is in it stays.
pub(super) struct Editor {
    document: Map<String, Value>,
    changed: bool,
}

impl Editor {
    /// Reads an index; without one, there are no entries.
    pub(super) fn new(place: &str, index: Option<&Bytes>) -> Result<Self, Error> {
        let document = match index {
            None => json!({
                "schemaVersion": 2,
                "mediaType": MediaType::OCI_INDEX,
                "manifests": [],
            }),
            Some(index) => {
                entries(place, index)?;
                serde_json::from_slice(index)
                    .map_err(|error| Error::Refused(format!("{place}, `{INDEX}`: {error}")))?
            }
        };
        match document {
            Value::Object(document) => Ok(Self {
                changed: index.is_none(),
                document,
            }),
            _ => Err(Error::Refused(format!("{place}, `{INDEX}` is no object"))),
        }
    }

    fn list(&mut self) -> &mut Vec<Value> {
        let list = self
            .document
            .entry("manifests")
            .or_insert_with(|| json!([]));
        if !list.is_array() {
            *list = json!([]);
        }
        match list {
            Value::Array(list) => list,
            _ => unreachable!("made an array above"),
        }
    }

    /// Sees to it that `name` is the name of `entry`, and of nothing else;
    /// without a name, that the entry is listed.
    pub(super) fn put(&mut self, entry: &Descriptor, name: Option<&str>) -> Result<(), Error> {
        let mut entry = entry.clone();
        let digest = entry.digest.to_string();
        if let Some(name) = name {
            entry.annotations.insert(NAME.to_owned(), name.to_owned());
        }
        let value = serde_json::to_value(&entry)
            .map_err(|error| Error::Refused(format!("no entry can be written: {error}")))?;
        let list = self.list();
        let has_digest = |each: &Value| each["digest"] == digest.as_str();
        let has_name = |each: &Value| name.is_some_and(|name| each["annotations"][NAME] == name);
        let is_there = list
            .iter()
            .any(|each| has_digest(each) && (name.is_none() || has_name(each)));
        if is_there {
            return Ok(());
        }
        list.retain(|each| !has_name(each));
        list.push(value);
        self.changed = true;
        Ok(())
    }

    /// The new index, if anything changed.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        self.changed
            .then(|| serde_json::to_vec(&self.document).unwrap_or_default())
    }
}
