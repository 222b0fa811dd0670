//! "Pulling blobs": a registry SHOULD take the `Range` header as RFC 9110
//! section 14 has it, so that clients resume a broken pull.

use reqwest::Method;

use crate::{Check, Failure, Registry, answer::Answer, check::check, fixture::Blob};

const SECTION: &str = "Pulling blobs";

/// The size of the blob that the checks cut up.
const SIZE: usize = 2048;

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Should,
            a_range_in_the_middle_should_be_206,
            "`Range: bytes=500-1499` gives these thousand bytes with 206 Partial Content"
        ),
        check!(
            Should,
            an_open_range_should_be_206_to_the_end,
            "`Range: bytes=500-` gives everything from there on"
        ),
        check!(
            Should,
            a_suffix_range_should_be_206_with_the_last_bytes,
            "`Range: bytes=-500` gives the last five hundred bytes"
        ),
        check!(
            Should,
            a_suffix_longer_than_the_blob_should_be_the_whole_blob,
            "a suffix range longer than the blob gives the whole blob"
        ),
        check!(
            Should,
            a_range_past_the_end_should_be_cut_at_the_end,
            "a range that starts inside the blob and ends behind it is cut at its end"
        ),
        check!(
            Should,
            a_range_of_one_byte_should_be_206,
            "a range may be a single byte, the first or the last"
        ),
        check!(
            Should,
            a_range_behind_the_end_should_be_416,
            "a range that starts behind the end is answered with 416"
        ),
        check!(
            Should,
            a_416_should_tell_the_size,
            "a 416 to a range request tells the size in `Content-Range: bytes */<size>`"
        ),
        check!(
            Should,
            a_backward_range_should_be_ignored_or_refused,
            "a range whose end is before its start is invalid: ignored, or refused with 416"
        ),
        check!(
            Should,
            a_range_in_an_unknown_unit_should_be_ignored,
            "a range in a unit that nobody knows is ignored"
        ),
        check!(
            Should,
            several_ranges_should_be_206_or_the_whole_blob,
            "several ranges in one request give several parts, or the whole blob"
        ),
        check!(
            Expected,
            accept_ranges_is_announced,
            "a registry that takes ranges says so with `Accept-Ranges: bytes`"
        ),
    ]
}

async fn ask(registry: &Registry, range: &str) -> Result<(Blob, Answer), Failure> {
    let repository = registry.repository();
    let blob = repository.push_random_blob(SIZE).await?;
    let request = repository
        .blob(Method::GET, &blob.digest)
        .header("range", range);
    let answer = request.send().await?;
    Ok((blob, answer))
}

async fn expect_part(
    registry: Registry,
    range: &str,
    first: usize,
    last: usize,
) -> Result<(), Failure> {
    let (blob, answer) = ask(&registry, range).await?;
    answer
        .expect(206)?
        .expect_body(&blob.bytes.slice(first..=last))?;
    answer.expect_header("content-range", &format!("bytes {first}-{last}/{SIZE}"))?;
    answer.expect_header_if_any("content-length", &(last - first + 1).to_string())?;
    Ok(())
}

async fn expect_whole_or(registry: Registry, range: &str, refusal: u16) -> Result<(), Failure> {
    let (blob, answer) = ask(&registry, range).await?;
    if answer.status() == refusal {
        return Ok(());
    }
    answer.expect(200)?.expect_body(&blob.bytes)?;
    Ok(())
}

async fn a_range_in_the_middle_should_be_206(registry: Registry) -> Result<(), Failure> {
    expect_part(registry, "bytes=500-1499", 500, 1499).await
}

async fn an_open_range_should_be_206_to_the_end(registry: Registry) -> Result<(), Failure> {
    expect_part(registry, "bytes=500-", 500, SIZE - 1).await
}

async fn a_suffix_range_should_be_206_with_the_last_bytes(
    registry: Registry,
) -> Result<(), Failure> {
    expect_part(registry, "bytes=-500", SIZE - 500, SIZE - 1).await
}

async fn a_suffix_longer_than_the_blob_should_be_the_whole_blob(
    registry: Registry,
) -> Result<(), Failure> {
    let (blob, answer) = ask(&registry, "bytes=-5000").await?;
    answer.expect_any(&[200, 206])?.expect_body(&blob.bytes)?;
    Ok(())
}

async fn a_range_past_the_end_should_be_cut_at_the_end(registry: Registry) -> Result<(), Failure> {
    expect_part(registry, "bytes=2000-5000", 2000, SIZE - 1).await
}

async fn a_range_of_one_byte_should_be_206(registry: Registry) -> Result<(), Failure> {
    expect_part(registry.clone(), "bytes=0-0", 0, 0).await?;
    expect_part(registry, "bytes=2047-2047", SIZE - 1, SIZE - 1).await
}

async fn a_range_behind_the_end_should_be_416(registry: Registry) -> Result<(), Failure> {
    let (_, answer) = ask(&registry, "bytes=5000-10000").await?;
    answer.expect(416)?;
    Ok(())
}

async fn a_416_should_tell_the_size(registry: Registry) -> Result<(), Failure> {
    let (_, answer) = ask(&registry, "bytes=2048-").await?;
    answer
        .expect(416)?
        .expect_header("content-range", "bytes */2048")?;
    Ok(())
}

async fn a_backward_range_should_be_ignored_or_refused(registry: Registry) -> Result<(), Failure> {
    expect_whole_or(registry, "bytes=500-0", 416).await
}

async fn a_range_in_an_unknown_unit_should_be_ignored(registry: Registry) -> Result<(), Failure> {
    let (blob, answer) = ask(&registry, "lines=1-2").await?;
    answer.expect(200)?.expect_body(&blob.bytes)?;
    Ok(())
}

async fn several_ranges_should_be_206_or_the_whole_blob(registry: Registry) -> Result<(), Failure> {
    let (blob, answer) = ask(&registry, "bytes=0-9,100-109").await?;
    if answer.status() == 200 {
        answer.expect_body(&blob.bytes)?;
        return Ok(());
    }
    let multipart = answer
        .expect(206)?
        .require("content-type")?
        .starts_with("multipart/byteranges");
    let contains = |part: &[u8]| {
        answer
            .body()
            .windows(part.len())
            .any(|window| window == part)
    };
    if multipart && contains(&blob.bytes[..10]) && contains(&blob.bytes[100..110]) {
        return Ok(());
    }
    Err(answer.violates("both parts in `multipart/byteranges`"))
}

async fn accept_ranges_is_announced(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let blob = repository.push_random_blob(SIZE).await?;
    let answer = repository.blob(Method::HEAD, &blob.digest).send().await?;
    answer
        .expect(200)?
        .expect_header("accept-ranges", "bytes")?;
    Ok(())
}
