//! "Pushing a blob in chunks": a chunk that does not start where the one
//! before ended is refused, and the session is none the worse for it.

use reqwest::Method;

use crate::{Check, Failure, Registry, check::check, fixture::Blob, upload::Upload};

const SECTION: &str = "Pushing a blob in chunks";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Must,
            a_first_chunk_that_does_not_start_at_0_must_be_416,
            "the range of the first chunk begins with 0; any other is answered with 416"
        ),
        check!(
            Must,
            a_chunk_that_leaves_a_gap_must_be_416,
            "a chunk that starts behind the next byte is answered with 416"
        ),
        check!(
            Must,
            a_repeated_chunk_must_be_416,
            "a chunk that was received before is answered with 416"
        ),
        check!(
            Must,
            an_overlapping_chunk_must_be_416,
            "a chunk that starts inside what was received is answered with 416"
        ),
        check!(
            Must,
            a_last_chunk_out_of_order_in_the_closing_put_must_be_416,
            "a closing PUT whose chunk is out of order is answered with 416"
        ),
        check!(
            Must,
            after_a_416_the_status_must_tell_where_to_go_on,
            "after a 416, a GET of the session tells the bytes received and where to send more"
        ),
        check!(
            Must,
            after_a_416_the_upload_must_still_succeed,
            "an upload goes on with the right chunk after a wrong one was refused"
        ),
        check!(
            Must,
            after_a_416_in_the_closing_put_the_upload_must_still_succeed,
            "an upload is closed with the right last chunk after a wrong one was refused"
        ),
        check!(
            Expected,
            a_range_longer_than_the_chunk_is_refused,
            "a chunk shorter than its range says is refused with 400 or 416"
        ),
        check!(
            Expected,
            a_malformed_range_is_refused,
            "a Content-Range that is no range is refused with 400 or 416"
        ),
    ]
}

/// A session that has the first of three chunks.
async fn begun(registry: &Registry) -> Result<(Upload, Blob, usize), Failure> {
    let mut upload = registry.repository().start_upload().await?;
    let (blob, chunk) = (upload.blob_of_three_chunks(), upload.chunk);
    upload.send_chunk(0, blob.bytes.slice(..chunk)).await?;
    Ok((upload, blob, chunk))
}

async fn a_first_chunk_that_does_not_start_at_0_must_be_416(
    registry: Registry,
) -> Result<(), Failure> {
    let upload = registry.repository().start_upload().await?;
    let (blob, chunk) = (upload.blob_of_three_chunks(), upload.chunk);
    let second = blob.bytes.slice(chunk..2 * chunk);
    upload.patch_at(chunk, second).send().await?.expect(416)?;
    Ok(())
}

async fn a_chunk_that_leaves_a_gap_must_be_416(registry: Registry) -> Result<(), Failure> {
    let (upload, blob, chunk) = begun(&registry).await?;
    let third = blob.bytes.slice(2 * chunk..);
    upload
        .patch_at(2 * chunk, third)
        .send()
        .await?
        .expect(416)?;
    Ok(())
}

async fn a_repeated_chunk_must_be_416(registry: Registry) -> Result<(), Failure> {
    let (upload, blob, chunk) = begun(&registry).await?;
    upload
        .patch_at(0, blob.bytes.slice(..chunk))
        .send()
        .await?
        .expect(416)?;
    Ok(())
}

async fn an_overlapping_chunk_must_be_416(registry: Registry) -> Result<(), Failure> {
    let (upload, blob, chunk) = begun(&registry).await?;
    let overlapping = blob.bytes.slice(chunk - 1..2 * chunk);
    upload
        .patch_at(chunk - 1, overlapping)
        .send()
        .await?
        .expect(416)?;
    Ok(())
}

async fn a_last_chunk_out_of_order_in_the_closing_put_must_be_416(
    registry: Registry,
) -> Result<(), Failure> {
    let (upload, blob, chunk) = begun(&registry).await?;
    let third = blob.bytes.slice(2 * chunk..);
    upload
        .close_at(&blob.digest, 2 * chunk, third)
        .send()
        .await?
        .expect(416)?;
    Ok(())
}

async fn after_a_416_the_status_must_tell_where_to_go_on(
    registry: Registry,
) -> Result<(), Failure> {
    let (upload, blob, chunk) = begun(&registry).await?;
    let third = blob.bytes.slice(2 * chunk..);
    upload
        .patch_at(2 * chunk, third)
        .send()
        .await?
        .expect(416)?;
    let answer = upload.status().send().await?;
    answer.expect(204)?.location()?;
    answer.expect_header("range", &format!("0-{}", chunk - 1))?;
    Ok(())
}

async fn after_a_416_the_upload_must_still_succeed(registry: Registry) -> Result<(), Failure> {
    let (mut upload, blob, chunk) = begun(&registry).await?;
    let third = blob.bytes.slice(2 * chunk..);
    upload
        .patch_at(2 * chunk, third.clone())
        .send()
        .await?
        .expect(416)?;
    upload.location = upload.status().send().await?.expect(204)?.location()?;
    upload
        .send_chunk(chunk, blob.bytes.slice(chunk..2 * chunk))
        .await?;
    upload.send_chunk(2 * chunk, third).await?;
    expect_closed(&registry, &upload, &blob).await
}

async fn after_a_416_in_the_closing_put_the_upload_must_still_succeed(
    registry: Registry,
) -> Result<(), Failure> {
    let (mut upload, blob, chunk) = begun(&registry).await?;
    let third = blob.bytes.slice(2 * chunk..);
    upload
        .close_at(&blob.digest, 2 * chunk, third)
        .send()
        .await?
        .expect(416)?;
    upload.location = upload.status().send().await?.expect(204)?.location()?;
    upload.send_chunk(chunk, blob.bytes.slice(chunk..)).await?;
    expect_closed(&registry, &upload, &blob).await
}

async fn expect_closed(registry: &Registry, upload: &Upload, blob: &Blob) -> Result<(), Failure> {
    let answer = upload.close(&blob.digest).send().await?;
    let location = answer.expect(201)?.location()?;
    let request = registry.request_url(Method::GET, location);
    request
        .send()
        .await?
        .expect(200)?
        .expect_body(&blob.bytes)?;
    Ok(())
}

async fn a_range_longer_than_the_chunk_is_refused(registry: Registry) -> Result<(), Failure> {
    let upload = registry.repository().start_upload().await?;
    let bytes = upload.blob_of_three_chunks().bytes;
    let range = format!("0-{}", bytes.len() + 99);
    let request = upload.patch().header("content-range", &range).body(bytes);
    request.send().await?.expect_any(&[400, 416])?;
    Ok(())
}

async fn a_malformed_range_is_refused(registry: Registry) -> Result<(), Failure> {
    for range in ["first", "0", "9-0", "0-18446744073709551616", "-5"] {
        let upload = registry.repository().start_upload().await?;
        let bytes = upload.blob_of_three_chunks().bytes;
        let request = upload.patch().header("content-range", range).body(bytes);
        request.send().await?.expect_any(&[400, 416])?;
    }
    Ok(())
}
