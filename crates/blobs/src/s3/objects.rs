//! The calls that the store makes, each with what may come back.

use std::ops::Range;

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use http::{HeaderMap, Method, header};
use reqwest::Response;

use super::{
    answers::{self, Copied, Initiated, Objects, Parts, Uploads},
    client::{Client, Failure, Patience, Request},
    state::Part,
    sums::Summed,
};
use crate::Error;

const COMPLETING: &str = "completing an upload";

/// An object as HEAD shows it.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) size: u64,
    /// Without quotes.
    pub(super) etag: String,
    /// Whether the tag is made of MD5, as that of an object which is encrypted
    /// with a key of its own is not.
    pub(super) is_md5: bool,
}

/// Where a part of an upload belongs.
#[derive(Debug, Clone)]
pub(super) struct Slot<'a> {
    pub(super) key: &'a str,
    pub(super) id: &'a str,
    /// From 1.
    pub(super) number: usize,
}

fn etag(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::ETAG)?.to_str().ok()?;
    Some(value.trim_matches('"').to_owned())
}

fn is_md5(headers: &HeaderMap) -> bool {
    let is_kms = headers
        .get("x-amz-server-side-encryption")
        .is_some_and(|value| value.as_bytes().starts_with(b"aws:kms"));
    !is_kms && !headers.contains_key("x-amz-server-side-encryption-customer-algorithm")
}

impl Client {
    fn strange(doing: &'static str) -> Error {
        let what = "the server's answer is not what S3 answers";
        Error::io(doing, std::io::Error::other(what))
    }

    /// Puts an object; `new` refuses if there is one of that name.
    pub(super) async fn put(&self, key: &str, summed: &Summed, new: bool) -> Result<(), Failure> {
        let mut request = Request::new(Method::PUT, key)
            .header("content-md5", BASE64_STANDARD.encode(summed.md5))
            .body(summed.bytes.clone());
        if new {
            request = request.header("if-none-match", "*");
        }
        self.send(request).await.map(drop)
    }

    /// Puts an object in the place of the one that has this entity tag, as it is
    /// sent.
    pub(super) async fn put_over(
        &self,
        key: &str,
        summed: &Summed,
        etag: &str,
    ) -> Result<(), Failure> {
        let request = Request::new(Method::PUT, key)
            .header("content-md5", BASE64_STANDARD.encode(summed.md5))
            .header("if-match", etag)
            .body(summed.bytes.clone());
        self.send(request).await.map(drop)
    }

    /// An object, or a range of it, in memory; `None` if it isn't there.
    pub(super) async fn get(
        &self,
        doing: &'static str,
        key: &str,
        range: Range<u64>,
    ) -> Result<Option<Bytes>, Error> {
        let Range { start, end } = range;
        let request = Request::new(Method::GET, key)
            .header("range", format!("bytes={start}-{}", end - 1))
            .largest(usize::try_from(end - start).unwrap_or(usize::MAX));
        match self.send(request).await {
            Ok((_, body)) => Ok(Some(body)),
            Err(failure) if failure.is_missing() => Ok(None),
            Err(failure) => Err(self.explain(doing, failure)),
        }
    }

    /// The bytes of an object from `start` up to, but not including, `end`.
    pub(super) async fn get_range(
        &self,
        key: &str,
        start: u64,
        end: u64,
    ) -> Result<Response, Failure> {
        let range = format!("bytes={start}-{}", end - 1);
        self.open(Request::new(Method::GET, key).header("range", range))
            .await
    }

    /// What is known of an object; `None` if it isn't there. The answer to HEAD
    /// has no body to tell S3's "not there" from that of a proxy, so a list has
    /// to say the same.
    pub(super) async fn head(&self, doing: &'static str, key: &str) -> Result<Option<Head>, Error> {
        let (headers, _) = match self.send(Request::new(Method::HEAD, key)).await {
            Ok(answer) => answer,
            Err(failure) if failure.is_missing() => {
                let found = self.list(doing, key, None).await?;
                if found.contents.iter().any(|object| object.key == key) {
                    let what = "the server lists an object and says that it is not there";
                    return Err(Error::Away(std::io::Error::other(what)));
                }
                return Ok(None);
            }
            Err(failure) => return Err(self.explain(doing, failure)),
        };
        let size = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        match (size, etag(&headers)) {
            (Some(size), Some(etag)) => Ok(Some(Head {
                size,
                etag,
                is_md5: is_md5(&headers),
            })),
            _ => Err(Self::strange(doing)),
        }
    }

    /// Deletes an object. Does nothing if there is none.
    pub(super) async fn delete(&self, doing: &'static str, key: &str) -> Result<(), Error> {
        match self.send(Request::new(Method::DELETE, key)).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.is_missing() => Ok(()),
            Err(failure) => Err(self.explain(doing, failure)),
        }
    }

    /// Copies an object of up to 5 GiB inside of the server.
    pub(super) async fn copy(&self, from: &str, to: &str) -> Result<(), Failure> {
        let request = Request::new(Method::PUT, to)
            .header("x-amz-copy-source", self.source(from))
            .patiently();
        self.send(request).await.map(drop)
    }

    /// A page of the objects whose names start with `prefix`.
    pub(super) async fn list(
        &self,
        doing: &'static str,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Objects, Error> {
        let mut request = Request::new(Method::GET, "")
            .query("list-type", "2")
            .query("prefix", prefix);
        if let Some(token) = after {
            request = request.query("continuation-token", token);
        }
        let (_, body) = self
            .send(request)
            .await
            .map_err(|failure| self.explain(doing, failure))?;
        answers::read(&body).ok_or_else(|| Self::strange(doing))
    }

    /// A page of the unfinished uploads of objects whose names start with
    /// `prefix`.
    pub(super) async fn list_uploads(
        &self,
        doing: &'static str,
        prefix: &str,
        after: Option<&(String, String)>,
    ) -> Result<Uploads, Error> {
        let mut request = Request::new(Method::GET, "")
            .query("uploads", "")
            .query("prefix", prefix);
        if let Some((key, id)) = after {
            request = request
                .query("key-marker", key)
                .query("upload-id-marker", id);
        }
        let (_, body) = self
            .send(request)
            .await
            .map_err(|failure| self.explain(doing, failure))?;
        answers::read(&body).ok_or_else(|| Self::strange(doing))
    }

    /// A page of the parts of an upload; `None` if the upload isn't there.
    pub(super) async fn list_parts(
        &self,
        doing: &'static str,
        key: &str,
        id: &str,
        after: Option<u32>,
    ) -> Result<Option<Parts>, Error> {
        let mut request = Request::new(Method::GET, key).query("uploadId", id);
        if let Some(number) = after {
            request = request.query("part-number-marker", number.to_string());
        }
        match self.send(request).await {
            Ok((_, body)) => answers::read(&body)
                .map(Some)
                .ok_or_else(|| Self::strange(doing)),
            Err(failure) if failure.is_missing() => Ok(None),
            Err(failure) => Err(self.explain(doing, failure)),
        }
    }

    /// Starts a multipart upload, and names it.
    pub(super) async fn upload_start(
        &self,
        doing: &'static str,
        key: &str,
    ) -> Result<String, Error> {
        let request = Request::new(Method::POST, key).query("uploads", "");
        let (_, body) = self
            .send(request)
            .await
            .map_err(|failure| self.explain(doing, failure))?;
        match answers::read(&body) {
            Some(Initiated { upload_id }) if is_word(&upload_id) => Ok(upload_id),
            _ => Err(Self::strange(doing)),
        }
    }

    pub(super) async fn upload_part(
        &self,
        doing: &'static str,
        slot: Slot<'_>,
        summed: &Summed,
    ) -> Result<Part, Failure> {
        let request = slot
            .request()
            .header("content-md5", BASE64_STANDARD.encode(summed.md5))
            .body(summed.bytes.clone());
        let (headers, _) = self.send(request).await?;
        match etag(&headers).filter(|etag| is_word(etag)) {
            Some(etag) => Ok(Part {
                size: summed.bytes.len() as u64,
                etag,
            }),
            None => Err(Failure::Failed(Self::strange(doing))),
        }
    }

    /// Makes the bytes from `start` to `end` of another object a part.
    pub(super) async fn upload_copy(
        &self,
        doing: &'static str,
        slot: Slot<'_>,
        from: &str,
        start: u64,
        end: u64,
    ) -> Result<Part, Failure> {
        let request = slot
            .request()
            .header("x-amz-copy-source", self.source(from))
            .header(
                "x-amz-copy-source-range",
                format!("bytes={start}-{}", end - 1),
            )
            .patiently();
        let (_, body) = self.send(request).await?;
        match answers::read::<Copied>(&body) {
            Some(Copied { etag }) if is_word(etag.trim_matches('"')) => Ok(Part {
                size: end - start,
                etag: etag.trim_matches('"').to_owned(),
            }),
            _ => Err(Failure::Failed(Self::strange(doing))),
        }
    }

    /// Makes an object of the parts.
    pub(super) async fn upload_complete(
        &self,
        key: &str,
        id: &str,
        parts: &[Part],
    ) -> Result<(), Failure> {
        let mut body = "<CompleteMultipartUpload>".to_owned();
        for (number, Part { etag, .. }) in (1..).zip(parts) {
            let number: u32 = number;
            body.extend([
                "<Part><PartNumber>",
                &number.to_string(),
                "</PartNumber><ETag>&quot;",
                etag,
                "&quot;</ETag></Part>",
            ]);
        }
        body.push_str("</CompleteMultipartUpload>");
        let body = Bytes::from(body);
        let mut patience = Patience::new(self.patience());
        loop {
            let request = Request::new(Method::POST, key)
                .query("uploadId", id)
                .body(body.clone())
                .patiently()
                .once();
            let reason = match self.send(request).await {
                Ok(_) => return Ok(()),
                Err(Failure::Failed(Error::Away(reason))) => reason,
                Err(failure) => return Err(failure),
            };
            // Some servers have an internal error for an upload that is not
            // there, which would be one for ever.
            match self.list_parts(COMPLETING, key, id, None).await {
                Ok(Some(_)) => patience.pause(reason).await?,
                Ok(None) => return Err(Failure::no_such_upload()),
                Err(error) => return Err(Failure::Failed(error)),
            }
        }
    }

    /// Throws an upload away. Does nothing if there is none.
    pub(super) async fn upload_abort(
        &self,
        doing: &'static str,
        key: &str,
        id: &str,
    ) -> Result<(), Error> {
        let request = Request::new(Method::DELETE, key).query("uploadId", id);
        match self.send(request).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.is_missing() => Ok(()),
            Err(failure) => Err(self.explain(doing, failure)),
        }
    }

    fn source(&self, key: &str) -> String {
        format!("/{}/{key}", self.bucket())
    }
}

impl<'a> Slot<'a> {
    fn request(&self) -> Request<'a> {
        Request::new(Method::PUT, self.key)
            .query("partNumber", self.number.to_string())
            .query("uploadId", self.id)
    }
}

/// A name of the server's that fits into one line of a state, and into XML.
fn is_word(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'&' | b'"');
    !text.is_empty() && text.len() <= 1024 && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_of_an_object_with_a_key_of_its_own_is_no_md5() {
        let with = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, http::HeaderValue::from_static(value));
            is_md5(&headers)
        };
        assert!(is_md5(&HeaderMap::new()));
        assert!(with("x-amz-server-side-encryption", "AES256"));
        assert!(!with("x-amz-server-side-encryption", "aws:kms"));
        assert!(!with("x-amz-server-side-encryption", "aws:kms:dsse"));
        let customer = "x-amz-server-side-encryption-customer-algorithm";
        assert!(!with(customer, "AES256"));
    }

    #[test]
    fn a_name_of_the_server_can_not_break_a_state() {
        assert!(is_word("2~aB-1_/+="));
        for text in ["", "a b", "a\nb", "a<b", "ä"] {
            assert!(!is_word(text), "{text}");
        }
    }
}
