//! Conditional requests (RFC 9110 section 13), for registries that send an `ETag`.

use reqwest::Method;

use crate::{Check, Failure, Registry, check::check, client::Request, fixture::Image};

const SECTION: &str = "Conditional requests (RFC 9110)";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Expected,
            a_manifest_the_client_has_is_304,
            "a GET of a manifest with its ETag in If-None-Match is 304, without a body"
        ),
        check!(
            Expected,
            a_blob_the_client_has_is_304,
            "a GET of a blob with its ETag in If-None-Match is 304, without a body"
        ),
        check!(
            Expected,
            a_tag_that_moved_is_200,
            "a GET of a tag with the ETag of what it named before is 200 with what it names now"
        ),
        check!(
            Expected,
            a_range_of_something_else_is_the_whole_blob,
            "a range is ignored when If-Range names another ETag"
        ),
    ]
}

/// The `ETag` that a GET of this gives.
async fn etag(request: Request) -> Result<String, Failure> {
    let answer = request.send().await?;
    let etag = answer.expect(200)?.header("etag");
    etag.map(str::to_owned).ok_or(Failure::NotOffered("ETags"))
}

async fn expect_not_modified(request: Request) -> Result<(), Failure> {
    let etag = etag(request.clone()).await?;
    for condition in [etag.clone(), format!("\"other\", {etag}"), "*".to_owned()] {
        let answer = request
            .clone()
            .header("if-none-match", &condition)
            .send()
            .await?;
        if !answer.expect(304)?.body().is_empty() {
            return Err(answer.violates("no body"));
        }
    }
    Ok(())
}

async fn a_manifest_the_client_has_is_304(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    expect_not_modified(repository.manifest(Method::GET, "present")).await
}

async fn a_blob_the_client_has_is_304(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let blob = repository.push_random_blob(100).await?;
    expect_not_modified(repository.blob(Method::GET, &blob.digest)).await
}

async fn a_tag_that_moved_is_200(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    repository.push_as("latest", &Image::new()).await?;
    let before = etag(repository.manifest(Method::GET, "latest")).await?;
    let document = repository.push_as("latest", &Image::new()).await?;
    let request = repository
        .manifest(Method::GET, "latest")
        .header("if-none-match", &before);
    request
        .send()
        .await?
        .expect(200)?
        .expect_body(document.bytes())?;
    Ok(())
}

async fn a_range_of_something_else_is_the_whole_blob(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let blob = repository.push_random_blob(100).await?;
    let get = || {
        repository
            .blob(Method::GET, &blob.digest)
            .header("range", "bytes=10-19")
    };
    let etag = etag(repository.blob(Method::GET, &blob.digest)).await?;
    let same = get().header("if-range", &etag).send().await?;
    same.expect_any(&[200, 206])?;
    let other = get().header("if-range", "\"other\"").send().await?;
    other.expect(200)?.expect_body(&blob.bytes)?;
    Ok(())
}
