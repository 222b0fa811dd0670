//! The query string, where a name may come several times.

use axum::http::{StatusCode, Uri};
use landfall_oci::ErrorCode;
use percent_encoding::percent_decode_str;

use super::error::OciError;

/// Names and values, decoded.
pub(super) struct Query(Vec<(String, String)>);

/// Parameters that are looked at, at the most.
const MOST: usize = 100;

impl Query {
    /// The query of a request. One with a NUL is refused: no name holds one.
    pub(super) fn of(uri: &Uri) -> Result<Self, OciError> {
        Self::parse(uri.query().unwrap_or_default())
    }

    /// The same of a text: a query, or a form.
    pub(super) fn parse(text: &str) -> Result<Self, OciError> {
        if holds_nul(text) || text.contains('\0') {
            let message = "the query holds a NUL; leave it out".to_owned();
            let status = StatusCode::BAD_REQUEST;
            return Err(OciError::new(status, ErrorCode::Unsupported, message));
        }
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Ok(Self(
            pairs
                .take(MOST)
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(name), decode(value))
                })
                .collect(),
        ))
    }

    /// The first value of a name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Every value of a name.
    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let name = name.to_owned();
        self.0
            .iter()
            .filter(move |(each, _)| *each == name)
            .map(|(_, value)| value.as_str())
    }

    /// How many entries a page shall have: the parameter `n`, at most `most`.
    pub(super) fn page_size(&self, most: usize) -> Result<usize, OciError> {
        let Some(text) = self.get("n") else {
            return Ok(most);
        };
        let invalid = || {
            let message = format!("`n` is `{text}`; a number from 0 on is expected");
            OciError::new(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, message)
        };
        text.parse::<u64>()
            .map(|n| n.min(most as u64) as usize)
            .map_err(|_| invalid())
    }
}

/// Whether a part of a URL holds a NUL when it is decoded.
pub(crate) fn holds_nul(encoded: &str) -> bool {
    encoded.contains("%00")
}

fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}
