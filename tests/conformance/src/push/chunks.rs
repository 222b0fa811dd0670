//! "Pushing a blob in chunks": PATCH after PATCH in order, then PUT.

use reqwest::Method;

use crate::{
    Check, Failure, Registry,
    answer::Answer,
    check::check,
    fixture::{Blob, missing_digest},
};

const SECTION: &str = "Pushing a blob in chunks";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Must,
            post_with_content_length_0_must_be_202,
            "a POST with `Content-Length: 0` opens a session with 202 and a Location"
        ),
        check!(
            Should,
            a_minimum_chunk_size_should_be_a_size,
            "OCI-Chunk-Min-Length, if it is sent, is a size in bytes"
        ),
        check!(
            Must,
            each_chunk_must_be_202_with_location_and_range,
            "each chunk is answered with 202, the next Location and the Range received so far"
        ),
        check!(
            Must,
            closing_put_without_body_must_be_201_with_a_pullable_location,
            "the closing PUT is answered with 201 and a Location to pull the blob from"
        ),
        check!(
            Must,
            the_last_chunk_in_the_closing_put_must_be_201,
            "the last chunk may come in the closing PUT"
        ),
        check!(
            Must,
            a_single_chunk_must_make_a_whole_blob,
            "one chunk may be the whole blob"
        ),
        check!(
            Must,
            a_closing_put_with_a_wrong_digest_must_be_400,
            "a closing PUT whose digest is not that of all chunks together is answered with 400"
        ),
        check!(
            Must,
            the_digest_of_the_last_chunk_must_not_do,
            "the digest that closes the session is that of the whole blob, not of the last chunk"
        ),
        check!(
            Must,
            status_must_be_204_with_location_and_range,
            "a GET of an open session is answered with 204, a Location and the Range so far"
        ),
        check!(
            Must,
            status_of_a_fresh_session_must_be_204,
            "a GET of a session without bytes is answered with 204 and a Location"
        ),
        check!(
            Should,
            the_location_of_the_status_should_go_on_with_the_upload,
            "the Location in the answer to a GET of the session takes the next chunk"
        ),
        check!(
            Must,
            patch_to_an_unknown_session_must_be_404,
            "a PATCH to a session that does not exist is answered with 404"
        ),
        check!(
            Must,
            status_of_an_unknown_session_must_be_404,
            "a GET of a session that does not exist is answered with 404"
        ),
        check!(
            Expected,
            a_patch_without_range_is_appended,
            "a PATCH without Content-Range is taken as the next bytes of the blob"
        ),
        check!(
            Expected,
            a_streamed_patch_is_202,
            "a PATCH whose length is not told in advance is taken as it comes"
        ),
        check!(
            Expected,
            nothing_can_be_pulled_before_the_session_is_closed,
            "the chunks of an open session are no blob yet"
        ),
    ]
}

/// Holds if the answer tells that the bytes from 0 to `last` are there.
fn expect_range(answer: &Answer, last: usize) -> Result<(), Failure> {
    answer.expect_header("range", &format!("0-{last}"))?;
    Ok(())
}

async fn post_with_content_length_0_must_be_202(registry: Registry) -> Result<(), Failure> {
    let request = registry
        .repository()
        .post_upload()
        .header("content-length", "0");
    request.send().await?.expect(202)?.location()?;
    Ok(())
}

async fn a_minimum_chunk_size_should_be_a_size(registry: Registry) -> Result<(), Failure> {
    let answer = registry.repository().post_upload().send().await?;
    match answer.expect(202)?.header("oci-chunk-min-length") {
        Some(size) if size.parse::<u64>().is_err() => {
            Err(answer.violates("a size in `oci-chunk-min-length`"))
        }
        _ => Ok(()),
    }
}

async fn each_chunk_must_be_202_with_location_and_range(registry: Registry) -> Result<(), Failure> {
    let mut upload = registry.repository().start_upload().await?;
    let (blob, chunk) = (upload.blob_of_three_chunks(), upload.chunk);
    for start in [0, chunk, 2 * chunk] {
        let end = blob.bytes.len().min(start + chunk);
        let answer = upload
            .send_chunk(start, blob.bytes.slice(start..end))
            .await?;
        expect_range(&answer, end - 1)?;
    }
    Ok(())
}

async fn closing_put_without_body_must_be_201_with_a_pullable_location(
    registry: Registry,
) -> Result<(), Failure> {
    let repository = registry.repository();
    let mut upload = repository.start_upload().await?;
    let (blob, chunk) = (upload.blob_of_three_chunks(), upload.chunk);
    upload.send_chunk(0, blob.bytes.slice(..chunk)).await?;
    upload
        .send_chunk(chunk, blob.bytes.slice(chunk..2 * chunk))
        .await?;
    upload
        .send_chunk(2 * chunk, blob.bytes.slice(2 * chunk..))
        .await?;
    let answer = upload.close(&blob.digest).send().await?;
    answer.expect(201)?;
    repository.expect_at(answer.location()?, &blob).await?;
    repository.expect_blob(&blob).await
}

async fn the_last_chunk_in_the_closing_put_must_be_201(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let mut upload = repository.start_upload().await?;
    let (blob, split) = (upload.blob_of_three_chunks(), 2 * upload.chunk);
    upload.send_chunk(0, blob.bytes.slice(..split)).await?;
    let last = blob.bytes.slice(split..);
    let answer = upload.close_at(&blob.digest, split, last).send().await?;
    answer.expect(201)?;
    repository.expect_at(answer.location()?, &blob).await
}

async fn a_single_chunk_must_make_a_whole_blob(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let mut upload = repository.start_upload().await?;
    let blob = upload.blob_of_three_chunks();
    upload.send_chunk(0, blob.bytes.clone()).await?;
    upload.close(&blob.digest).send().await?.expect(201)?;
    repository.expect_blob(&blob).await
}

async fn a_closing_put_with_a_wrong_digest_must_be_400(registry: Registry) -> Result<(), Failure> {
    let mut upload = registry.repository().start_upload().await?;
    let blob = upload.blob_of_three_chunks();
    upload.send_chunk(0, blob.bytes.clone()).await?;
    upload.close(&missing_digest()).send().await?.expect(400)?;
    Ok(())
}

async fn the_digest_of_the_last_chunk_must_not_do(registry: Registry) -> Result<(), Failure> {
    let mut upload = registry.repository().start_upload().await?;
    let (blob, split) = (upload.blob_of_three_chunks(), 2 * upload.chunk);
    upload.send_chunk(0, blob.bytes.slice(..split)).await?;
    let last = Blob::of(blob.bytes.slice(split..));
    upload
        .close_at(&last.digest, split, last.bytes)
        .send()
        .await?
        .expect(400)?;
    Ok(())
}

async fn status_must_be_204_with_location_and_range(registry: Registry) -> Result<(), Failure> {
    let mut upload = registry.repository().start_upload().await?;
    let blob = upload.blob_of_three_chunks();
    upload.send_chunk(0, blob.bytes.clone()).await?;
    let answer = upload.status().send().await?;
    answer.expect(204)?.location()?;
    expect_range(&answer, blob.bytes.len() - 1)
}

async fn status_of_a_fresh_session_must_be_204(registry: Registry) -> Result<(), Failure> {
    let upload = registry.repository().start_upload().await?;
    upload.status().send().await?.expect(204)?.location()?;
    Ok(())
}

async fn the_location_of_the_status_should_go_on_with_the_upload(
    registry: Registry,
) -> Result<(), Failure> {
    let repository = registry.repository();
    let mut upload = repository.start_upload().await?;
    let (blob, split) = (upload.blob_of_three_chunks(), upload.chunk);
    upload.send_chunk(0, blob.bytes.slice(..split)).await?;
    upload.location = upload.status().send().await?.expect(204)?.location()?;
    upload.send_chunk(split, blob.bytes.slice(split..)).await?;
    upload.close(&blob.digest).send().await?.expect(201)?;
    repository.expect_blob(&blob).await
}

async fn patch_to_an_unknown_session_must_be_404(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    let upload = repository.start_upload().await?;
    upload.cancel().send().await?.expect_any(&[200, 202, 204])?;
    let bytes = upload.blob_of_three_chunks().bytes;
    upload.patch_at(0, bytes).send().await?.expect(404)?;
    Ok(())
}

async fn status_of_an_unknown_session_must_be_404(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    let upload = repository.start_upload().await?;
    upload.cancel().send().await?.expect_any(&[200, 202, 204])?;
    upload.status().send().await?.expect(404)?;
    Ok(())
}

async fn a_patch_without_range_is_appended(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let mut upload = repository.start_upload().await?;
    let (blob, split) = (upload.blob_of_three_chunks(), upload.chunk);
    for part in [blob.bytes.slice(..split), blob.bytes.slice(split..)] {
        let answer = upload.patch().body(part).send().await?;
        upload.location = answer.expect(202)?.location()?;
    }
    upload.close(&blob.digest).send().await?.expect(201)?;
    repository.expect_blob(&blob).await
}

async fn a_streamed_patch_is_202(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let mut upload = repository.start_upload().await?;
    let blob = Blob::random(300_000);
    let answer = upload.patch().streamed(blob.bytes.clone()).send().await?;
    upload.location = answer.expect(202)?.location()?;
    expect_range(&answer, blob.bytes.len() - 1)?;
    upload.close(&blob.digest).send().await?.expect(201)?;
    repository.expect_blob(&blob).await
}

async fn nothing_can_be_pulled_before_the_session_is_closed(
    registry: Registry,
) -> Result<(), Failure> {
    let repository = registry.repository();
    let mut upload = repository.start_upload().await?;
    let blob = upload.blob_of_three_chunks();
    upload.send_chunk(0, blob.bytes.clone()).await?;
    repository
        .blob(Method::GET, &blob.digest)
        .send()
        .await?
        .expect(404)?;
    upload.close(&blob.digest).send().await?.expect(201)?;
    repository.expect_blob(&blob).await
}
