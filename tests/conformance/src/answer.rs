//! What a registry answered, and the questions that checks ask of it.
//!
//! Each question returns a [`Failure`] that shows the whole exchange, so a
//! line of the report is enough to see what went wrong.

use std::fmt::Write;

use bytes::Bytes;
use reqwest::{Url, header::HeaderMap};
use serde_json::Value;

use crate::{Failure, fixture::sha256};

/// How much of a body or a header a failure shows, in characters.
const EXCERPT: usize = 200;

/// One answer, read to its end.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    request: String,
    url: Url,
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    pub(crate) fn new(
        request: String,
        url: Url,
        status: u16,
        headers: HeaderMap,
        body: Bytes,
    ) -> Self {
        Self {
            request,
            url,
            status,
            headers,
            body,
        }
    }

    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    /// The value of a header, if it is there and is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The failure to be what was `expected`.
    pub(crate) fn violates(&self, expected: impl Into<String>) -> Failure {
        Failure::Violation {
            expected: expected.into(),
            exchange: self.describe(),
        }
    }

    fn describe(&self) -> String {
        let mut text = format!("`{}` was answered with {}", self.request, self.status);
        for name in [
            "content-type",
            "content-length",
            "content-range",
            "range",
            "location",
        ] {
            if let Some(value) = self.header(name) {
                let value: String = value.chars().take(EXCERPT).collect();
                let _ = write!(text, ", {name}: {value}");
            }
        }
        let excerpt: String = String::from_utf8_lossy(&self.body)
            .chars()
            .take(EXCERPT)
            .collect();
        if excerpt.is_empty() {
            text.push_str(", no body");
        } else {
            let _ = write!(text, ", body: {}", excerpt.trim_end().escape_debug());
        }
        text
    }

    /// Holds if the status is this one.
    pub(crate) fn expect(&self, status: u16) -> Result<&Self, Failure> {
        self.expect_any(&[status])
    }

    /// Holds if the status is one of these.
    pub(crate) fn expect_any(&self, statuses: &[u16]) -> Result<&Self, Failure> {
        if statuses.contains(&self.status) {
            return Ok(self);
        }
        let list: Vec<String> = statuses.iter().map(u16::to_string).collect();
        Err(self.violates(format!("status {}", list.join(" or "))))
    }

    /// Holds if the header is there; its value.
    pub(crate) fn require(&self, name: &str) -> Result<&str, Failure> {
        self.header(name)
            .ok_or_else(|| self.violates(format!("a header `{name}`")))
    }

    /// Holds if the header is there and has this value.
    pub(crate) fn expect_header(&self, name: &str, value: &str) -> Result<&Self, Failure> {
        if self.header(name) == Some(value) {
            return Ok(self);
        }
        let got = self.header(name).unwrap_or("none");
        Err(self.violates(format!("header `{name}: {value}` (it is `{got}`)")))
    }

    /// Holds if the header, where it is there, has this value.
    pub(crate) fn expect_header_if_any(&self, name: &str, value: &str) -> Result<&Self, Failure> {
        if self.header(name).is_none() {
            Ok(self)
        } else {
            self.expect_header(name, value)
        }
    }

    /// Holds if the body is exactly these bytes.
    pub(crate) fn expect_body(&self, bytes: &Bytes) -> Result<&Self, Failure> {
        if self.body == bytes {
            return Ok(self);
        }
        let (want, got) = (sha256(bytes), sha256(&self.body));
        Err(self.violates(format!(
            "a body of {} bytes with the digest {want} (it has {} bytes and {got})",
            bytes.len(),
            self.body.len()
        )))
    }

    /// Holds if there is a `Location`; the URL it stands for, seen from the
    /// URL of the request (RFC 9110 section 10.2.2).
    pub(crate) fn location(&self) -> Result<Url, Failure> {
        let given = self.require("location")?;
        self.url
            .join(given)
            .map_err(|_| self.violates("a `location` that is a URL"))
    }

    /// Holds if the body is JSON; the document.
    pub(crate) fn json(&self) -> Result<Value, Failure> {
        serde_json::from_slice(&self.body).map_err(|_| self.violates("a body in JSON"))
    }

    /// The error codes in the body, or none if it has none.
    pub(crate) fn codes(&self) -> Vec<String> {
        let document: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let errors = document["errors"].as_array().into_iter().flatten();
        errors
            .filter_map(|error| error["code"].as_str())
            .map(str::to_owned)
            .collect()
    }

    /// Holds if the status is one of these and the body carries one of these
    /// error codes.
    pub(crate) fn expect_error(&self, statuses: &[u16], codes: &[&str]) -> Result<&Self, Failure> {
        self.expect_any(statuses)?;
        if self
            .codes()
            .iter()
            .any(|code| codes.contains(&code.as_str()))
        {
            return Ok(self);
        }
        Err(self.violates(format!("error code {}", codes.join(" or "))))
    }

    /// Holds if the registry refused the request: any 4xx. A 5xx is no
    /// refusal but a breakdown.
    pub(crate) fn expect_refusal(&self) -> Result<&Self, Failure> {
        if (400..500).contains(&self.status) {
            return Ok(self);
        }
        Err(self.violates("a refusal with a status of 4xx"))
    }

    /// The target of the link with `rel="next"` (RFC 8288), if there is a
    /// `Link` header; holds if such a header can be read.
    pub(crate) fn next_link(&self) -> Result<Option<Url>, Failure> {
        let Some(header) = self.header("link") else {
            return Ok(None);
        };
        let malformed = || {
            self.violates(format!(
                "`link` (`{header}`) in the form `<url>; rel=\"next\"`"
            ))
        };
        let inside = header.trim().strip_prefix('<').ok_or_else(malformed)?;
        let (target, parameters) = inside.split_once('>').ok_or_else(malformed)?;
        let next = parameters.split(';').any(|parameter| {
            let parameter = parameter.trim();
            parameter == "rel=\"next\"" || parameter == "rel=next"
        });
        if !next {
            return Err(malformed());
        }
        self.url.join(target).map(Some).map_err(|_| malformed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(headers: &[(&'static str, &'static str)], body: &'static str) -> Answer {
        let url = Url::parse("http://h:1/v2/a/b/tags/list?n=2").expect("a URL");
        let headers = headers
            .iter()
            .map(|(name, value)| {
                (
                    name.parse().expect("a name"),
                    value.parse().expect("a value"),
                )
            })
            .collect();
        Answer::new(
            "GET /".to_owned(),
            url,
            404,
            headers,
            Bytes::from_static(body.as_bytes()),
        )
    }

    #[test]
    fn locations_are_read_relative_and_absolute_with_their_query() {
        let relative = answer(&[("location", "/v2/x?state=1")], "")
            .location()
            .expect("a URL");
        assert_eq!(relative.as_str(), "http://h:1/v2/x?state=1");
        let absolute = answer(&[("location", "http://other/up")], "")
            .location()
            .expect("a URL");
        assert_eq!(absolute.as_str(), "http://other/up");
    }

    #[test]
    fn a_next_link_is_followed_and_a_malformed_one_is_a_violation() {
        let good = answer(
            &[("link", "</v2/a/b/tags/list?n=2&last=x>; rel=\"next\"")],
            "",
        );
        let next = good.next_link().expect("a link").expect("is there");
        assert_eq!(next.query(), Some("n=2&last=x"));
        assert!(
            answer(&[("link", "</v2/>; rel=\"prev\"")], "")
                .next_link()
                .is_err()
        );
        assert!(answer(&[("link", "/v2/")], "").next_link().is_err());
        assert!(answer(&[], "").next_link().expect("no link").is_none());
    }

    #[test]
    fn an_error_needs_the_status_and_the_code() {
        let refused = answer(&[], r#"{"errors":[{"code":"BLOB_UNKNOWN"}]}"#);
        assert!(refused.expect_error(&[404], &["BLOB_UNKNOWN"]).is_ok());
        assert!(refused.expect_error(&[400], &["BLOB_UNKNOWN"]).is_err());
        assert!(refused.expect_error(&[404], &["NAME_UNKNOWN"]).is_err());
    }
}
