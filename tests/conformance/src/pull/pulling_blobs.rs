//! "Pulling blobs": GET of a whole blob.

use reqwest::Method;

use crate::{
    Check, Failure, Registry,
    check::check,
    fixture::{Blob, missing_digest},
};

const SECTION: &str = "Pulling blobs";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Must,
            get_must_be_200_with_the_pushed_bytes,
            "a GET of a blob gives the blob with 200 OK"
        ),
        check!(
            Must,
            get_of_large_blob_must_be_200_with_the_pushed_bytes,
            "a GET of a blob of several megabytes gives the blob with 200 OK"
        ),
        check!(
            Must,
            get_of_empty_blob_must_be_200,
            "a blob of zero bytes is a blob like any other"
        ),
        check!(
            Should,
            docker_content_digest_should_be_sent,
            "a blob comes with its digest in Docker-Content-Digest"
        ),
        check!(
            Must,
            docker_content_digest_must_match_the_body,
            "Docker-Content-Digest, if it is sent, is the digest of the body"
        ),
        check!(
            Expected,
            content_length_is_the_size_of_the_blob,
            "a blob comes with its size in Content-Length, so that clients show progress"
        ),
        check!(
            Must,
            get_of_missing_blob_must_be_404,
            "a GET of a blob that does not exist is answered with 404 Not Found"
        ),
        check!(
            Must,
            get_in_missing_repository_must_be_404,
            "a GET of a blob in a repository that does not exist is answered with 404"
        ),
    ]
}

async fn get_must_be_200_with_the_pushed_bytes(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let blob = repository.push_random_blob(4096).await?;
    repository.expect_blob(&blob).await
}

async fn get_of_large_blob_must_be_200_with_the_pushed_bytes(
    registry: Registry,
) -> Result<(), Failure> {
    let repository = registry.repository();
    let blob = repository.push_random_blob(8 * 1024 * 1024 + 1).await?;
    repository.expect_blob(&blob).await
}

async fn get_of_empty_blob_must_be_200(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let empty = Blob::of("");
    repository.push_blob(&empty).await?;
    repository.expect_blob(&empty).await
}

async fn docker_content_digest_should_be_sent(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let blob = repository.push_random_blob(100).await?;
    let answer = repository.blob(Method::GET, &blob.digest).send().await?;
    answer
        .expect(200)?
        .expect_header("docker-content-digest", &blob.digest)?;
    Ok(())
}

async fn docker_content_digest_must_match_the_body(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    for blob in [
        repository.push_random_blob(1).await?,
        repository.push_random_blob(100_000).await?,
    ] {
        let answer = repository.blob(Method::GET, &blob.digest).send().await?;
        answer.expect(200)?.expect_body(&blob.bytes)?;
        answer.expect_header_if_any("docker-content-digest", &blob.digest)?;
    }
    Ok(())
}

async fn content_length_is_the_size_of_the_blob(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let blob = repository.push_random_blob(12_345).await?;
    let answer = repository.blob(Method::GET, &blob.digest).send().await?;
    answer
        .expect(200)?
        .expect_header("content-length", "12345")?;
    Ok(())
}

async fn get_of_missing_blob_must_be_404(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    repository
        .blob(Method::GET, &missing_digest())
        .send()
        .await?
        .expect(404)?;
    Ok(())
}

async fn get_in_missing_repository_must_be_404(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    repository
        .blob(Method::GET, &missing_digest())
        .send()
        .await?
        .expect(404)?;
    Ok(())
}
