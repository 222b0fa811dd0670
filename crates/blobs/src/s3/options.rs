//! Which bucket, where, and with whose key.

use std::{fmt, str::FromStr, time::Duration};

use url::Url;

/// What a store in a bucket needs to know. The text form is
/// `s3://<bucket>/<prefix>?endpoint=<url>&region=<region>`, all but the bucket
/// optional. It has no place for a key, so it can be logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Options {
    /// The name of the bucket.
    pub bucket: String,
    /// What the names of all objects start with: empty, or segments with `/`
    /// between them. A bucket can hold several stores under several prefixes.
    pub prefix: String,
    /// The server, such as `http://127.0.0.1:9000`; Amazon's if there is none.
    pub endpoint: Option<String>,
    /// The region that requests are signed for.
    pub region: String,
    /// Whose key signs the requests. Without one it is looked for where Amazon's
    /// tools look: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` (and
    /// `AWS_SESSION_TOKEN`), a web identity, a container's or an instance's role.
    pub key: Option<S3Key>,
    /// How long the server may be silent, before it is asked again.
    pub silence: Duration,
    /// How long it is asked again, before the call fails.
    pub patience: Duration,
    /// How many bytes of parts all uploads together hold in memory, at the most.
    /// What is short is not counted.
    pub memory: usize,
}

/// An access key.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Key {
    /// Its id, which is no secret.
    pub id: String,
    /// Its secret.
    pub secret: String,
    /// The token of a session, for a key that doesn't live long.
    pub session: Option<String>,
}

impl fmt::Debug for S3Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Key")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A text that names no bucket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}; a bucket is given as `s3://bucket/prefix?endpoint=https://host:port&region=region`")]
pub struct InvalidS3Url(String);

impl S3Options {
    /// The root of the server: no slash at its end.
    pub(super) fn server(&self) -> String {
        let region = &self.region;
        self.endpoint
            .clone()
            .unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"))
    }
}

fn is_bucket(name: &str) -> bool {
    let inner = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-')
    };
    (3..=63).contains(&name.len()) && name.bytes().all(inner)
}

/// A segment that means the same in every URL, whoever writes it.
fn is_segment(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !text.is_empty() && text != "." && text != ".." && text.bytes().all(plain)
}

/// `http` or `https`, a host, perhaps a port, and nothing else.
fn endpoint(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    is_plain.then(|| url.as_str().trim_end_matches('/').to_owned())
}

impl FromStr for S3Options {
    type Err = InvalidS3Url;

    fn from_str(text: &str) -> Result<Self, InvalidS3Url> {
        let invalid = |what: &str| Err(InvalidS3Url(what.to_owned()));
        let Ok(url) = Url::parse(text) else {
            return invalid("the blob store's URL can't be read");
        };
        if url.scheme() != "s3" {
            return invalid("the blob store's URL doesn't start with `s3://`");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return invalid(
                "keys don't belong into the blob store's URL: set `AWS_ACCESS_KEY_ID` and \
                 `AWS_SECRET_ACCESS_KEY`",
            );
        }
        let bucket = url.host_str().unwrap_or_default();
        if !is_bucket(bucket) || url.port().is_some() || url.fragment().is_some() {
            return invalid("the blob store's URL names no bucket that there can be");
        }
        let prefix = url.path().trim_matches('/');
        if !prefix.is_empty() && !prefix.split('/').all(is_segment) || prefix.len() > 200 {
            return invalid(
                "the prefix in the blob store's URL has other characters than letters, digits, \
                 `.`, `-`, `_` and `/`",
            );
        }
        let mut options = Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            endpoint: None,
            region: "us-east-1".to_owned(),
            key: None,
            silence: Duration::from_secs(30),
            patience: Duration::from_mins(1),
            memory: 256 << 20,
        };
        for (name, value) in url.query_pairs() {
            match &*name {
                "endpoint" => match endpoint(&value) {
                    Some(endpoint) => options.endpoint = Some(endpoint),
                    None => {
                        return invalid("the endpoint in the blob store's URL is no server's URL");
                    }
                },
                "region" if is_segment(&value) => options.region = value.into_owned(),
                _ => {
                    return Err(InvalidS3Url(format!(
                        "the blob store's URL says `{name}={value}`, which is neither an endpoint \
                         nor a region"
                    )));
                }
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_bucket_prefix_endpoint_and_region() {
        let text = "s3://images/a/b_1/?endpoint=http://127.0.0.1:9000/&region=eu-1";
        let options: S3Options = text.parse().expect("a bucket");
        assert_eq!(options.bucket, "images");
        assert_eq!(options.prefix, "a/b_1");
        assert_eq!(options.server(), "http://127.0.0.1:9000");
        assert_eq!(options.region, "eu-1");
        let options: S3Options = "s3://images".parse().expect("a bucket");
        assert_eq!(options.prefix, "");
        assert_eq!(options.server(), "https://s3.us-east-1.amazonaws.com");
    }

    #[test]
    fn what_is_no_bucket_is_refused_with_the_form_of_one() {
        for text in [
            "",
            "images",
            "http://images",
            "s3://",
            "s3://ab",
            "s3://Images_1",
            "s3://images:80",
            "s3://key:secret@images",
            "s3://images/a//b",
            "s3://images/a%20b",
            "s3://images?endpoint=127.0.0.1",
            "s3://images?endpoint=http://a/path",
            "s3://images?endpoint=http://key:secret@a",
            "s3://images?region=",
            "s3://images?profile=x",
        ] {
            let refused = text.parse::<S3Options>().expect_err(text).to_string();
            assert!(refused.contains("`s3://bucket/prefix?"), "{refused}");
            assert!(!refused.contains("secret@"), "{refused}");
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        let key = S3Key {
            id: "id".to_owned(),
            secret: "hidden".to_owned(),
            session: Some("hidden".to_owned()),
        };
        assert!(!format!("{key:?}").contains("hidden"));
    }
}
