//! What the server says, out of its XML.

use jiff::Timestamp as Instant;
use landfall_clock::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorAnswer {
    code: String,
}

/// A page of objects.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Objects {
    #[serde(default)]
    pub(super) contents: Vec<Object>,
    pub(super) next_continuation_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Object {
    pub(super) key: String,
    pub(super) size: u64,
    last_modified: String,
}

/// A page of multipart uploads that were not completed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Uploads {
    #[serde(default)]
    pub(super) upload: Vec<Upload>,
    #[serde(default)]
    is_truncated: bool,
    next_key_marker: Option<String>,
    next_upload_id_marker: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Upload {
    pub(super) key: String,
    #[serde(rename = "UploadId")]
    pub(super) id: String,
    initiated: String,
}

/// A page of the parts of an upload.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Parts {
    #[serde(default)]
    pub(super) part: Vec<Part>,
    #[serde(default)]
    is_truncated: bool,
    next_part_number_marker: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Part {
    pub(super) size: u64,
    last_modified: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Initiated {
    pub(super) upload_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Copied {
    #[serde(rename = "ETag")]
    pub(super) etag: String,
}

impl Object {
    pub(super) fn modified(&self) -> Timestamp {
        instant(&self.last_modified)
    }
}

impl Upload {
    pub(super) fn initiated(&self) -> Timestamp {
        instant(&self.initiated)
    }
}

impl Part {
    pub(super) fn modified(&self) -> Timestamp {
        instant(&self.last_modified)
    }
}

impl Uploads {
    /// Where the next page starts.
    pub(super) fn next(&self) -> Option<(String, String)> {
        let key = self.next_key_marker.clone();
        let id = self.next_upload_id_marker.clone().unwrap_or_default();
        key.filter(|_| self.is_truncated).map(|key| (key, id))
    }
}

impl Parts {
    /// Where the next page starts.
    pub(super) fn next(&self) -> Option<u32> {
        self.next_part_number_marker.filter(|_| self.is_truncated)
    }
}

/// A time that can't be read counts as now, so that nothing is taken for old.
fn instant(text: &str) -> Timestamp {
    let instant = text.parse().unwrap_or_else(|_| Instant::now());
    Timestamp::from_unix_micros(instant.as_microsecond())
}

/// Reads an answer; `None` if it is not what it should be.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let text = std::str::from_utf8(body).ok()?;
    quick_xml::de::from_str(text).ok()
}

/// The code of an error, if the answer is one.
pub(super) fn error_code(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let start = text.trim_start();
    let after = match start.strip_prefix("<?xml") {
        Some(rest) => rest.split_once("?>")?.1.trim_start(),
        None => start,
    };
    if !after.starts_with("<Error") {
        return None;
    }
    quick_xml::de::from_str(after)
        .ok()
        .map(|ErrorAnswer { code }| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_from_an_answer() {
        let error = b"<?xml version=\"1.0\"?>\n<Error><Code>SlowDown</Code><Message/></Error>";
        assert_eq!(error_code(error).as_deref(), Some("SlowDown"));
        assert_eq!(
            error_code(b"  <Error><Code>X</Code></Error>").as_deref(),
            Some("X")
        );
        for other in [
            &b""[..],
            b"<html>nginx</html>",
            b"<?xml version=\"1.0\"?><ListBucketResult></ListBucketResult>",
            b"<Error>",
            b"\xff",
        ] {
            assert_eq!(error_code(other), None);
        }
    }

    #[test]
    fn a_page_of_objects_is_read() {
        let body = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"x\">\
            <Name>b</Name><IsTruncated>true</IsTruncated>\
            <Contents><Key>blobs/a</Key><LastModified>1970-01-01T00:00:01.500Z</LastModified>\
            <ETag>&quot;e&quot;</ETag><Size>7</Size></Contents>\
            <Contents><Key>blobs/b</Key><LastModified>soon</LastModified><Size>0</Size></Contents>\
            <NextContinuationToken>t</NextContinuationToken></ListBucketResult>";
        let page: Objects = read(body).expect("a page");
        assert_eq!(page.next_continuation_token.as_deref(), Some("t"));
        assert_eq!(page.contents[0].key, "blobs/a");
        assert_eq!(page.contents[0].size, 7);
        assert_eq!(page.contents[0].modified().unix_micros(), 1_500_000);
        assert!(page.contents[1].modified().unix_seconds() > 1_700_000_000);
        assert!(read::<Objects>(b"<html>").is_none());
    }
}
