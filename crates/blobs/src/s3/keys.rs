//! The names of objects in the bucket, and what they say.
//!
//! ```text
//! <prefix>/store-id                      the marker: the store's identifier, perhaps an incarnation
//! <prefix>/blobs/<upload id>.<token>     one object; the last part is its location
//! <prefix>/staging/<upload id>.<token>   a tail, too short for a part
//! <prefix>/quarantine/<upload id>.<token>   a damaged object, moved aside
//! <prefix>/probe/<id>                    exists for an instant
//! ```
//!
//! The token is that of the writer that has made the object or has started it.
//! So no two writers ever write to one name, whatever arrives late.

use landfall_ids::UploadId;

use crate::{Error, Location};

/// The names below one prefix.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    /// Empty, or with a slash at its end.
    prefix: String,
}

/// What a writer of an upload has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) upload: UploadId,
    pub(super) token: u64,
}

impl Made {
    fn text(self) -> String {
        let Self { upload, token } = self;
        format!("{upload}.{token}")
    }

    fn parse(text: &str) -> Option<Self> {
        let (upload, token) = text.split_once('.')?;
        let made = Self {
            upload: upload.parse().ok()?,
            token: token.parse().ok()?,
        };
        // One name, one object: no `+1`, no `01`, no capitals.
        (made.text() == text).then_some(made)
    }
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        let prefix = if prefix.is_empty() {
            String::new()
        } else {
            format!("{prefix}/")
        };
        Self { prefix }
    }

    pub(super) fn marker(&self) -> String {
        format!("{}store-id", self.prefix)
    }

    /// What every object's name starts with.
    pub(super) fn blobs(&self) -> String {
        format!("{}blobs/", self.prefix)
    }

    pub(super) fn staging(&self) -> String {
        format!("{}staging/", self.prefix)
    }

    pub(super) fn blob(&self, made: Made) -> String {
        format!("{}{}", self.blobs(), made.text())
    }

    /// What the objects of one upload start with.
    pub(super) fn blobs_of(&self, upload: UploadId) -> String {
        format!("{}{upload}.", self.blobs())
    }

    pub(super) fn tail(&self, made: Made) -> String {
        format!("{}{}", self.staging(), made.text())
    }

    pub(super) fn tails_of(&self, upload: UploadId) -> String {
        format!("{}{upload}.", self.staging())
    }

    /// The object of a location; refuses one of another kind of store.
    pub(super) fn at(&self, location: &Location) -> Result<String, Error> {
        match Made::parse(location.as_str()) {
            Some(made) => Ok(self.blob(made)),
            None => Err(Error::Foreign {
                location: location.clone(),
            }),
        }
    }

    /// Where a damaged object is moved; after [`Keys::at`].
    pub(super) fn quarantined(&self, location: &Location) -> String {
        format!("{}quarantine/{location}", self.prefix)
    }

    pub(super) fn probe(&self, id: u64) -> String {
        format!("{}probe/{id}", self.prefix)
    }

    /// Who has made the object or the tail `key`; `None` for what isn't ours.
    pub(super) fn maker(&self, key: &str) -> Option<Made> {
        let rest = key.strip_prefix(&self.prefix)?;
        let (folder, name) = rest.split_once('/')?;
        matches!(folder, "blobs" | "staging")
            .then(|| Made::parse(name))
            .flatten()
    }
}

/// The location of what a writer has made.
pub(super) fn location(made: Made) -> Result<Location, Error> {
    made.text()
        .parse()
        .map_err(|error| Error::io("naming a blob", std::io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_who_has_made_the_object() {
        let made = Made {
            upload: UploadId::new_at(1),
            token: 17,
        };
        for prefix in ["", "a/b"] {
            let keys = Keys::new(prefix);
            assert_eq!(keys.maker(&keys.blob(made)), Some(made));
            assert_eq!(keys.maker(&keys.tail(made)), Some(made));
            assert_eq!(keys.maker(&keys.marker()), None);
            let location = location(made).expect("a location");
            assert_eq!(keys.at(&location).expect("ours"), keys.blob(made));
            let other = format!("{location}1.x").parse().expect("a location");
            assert!(matches!(keys.at(&other), Err(Error::Foreign { .. })));
        }
        assert_eq!(Keys::new("a").maker(&Keys::new("").blob(made)), None);
    }
}
