//! "Checking if content exists in the registry": HEAD.

use reqwest::Method;

use crate::{
    Check, Failure, Registry,
    check::check,
    fixture::{Image, OCI_IMAGE, missing_digest},
};

const SECTION: &str = "Checking if content exists in the registry";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Must,
            head_of_blob_must_be_200,
            "a HEAD of a blob that exists is answered with 200"
        ),
        check!(
            Must,
            head_of_manifest_by_tag_must_be_200,
            "a HEAD of a tag that exists is answered with 200"
        ),
        check!(
            Must,
            head_of_manifest_by_digest_must_be_200,
            "a HEAD of a manifest digest that exists is answered with 200"
        ),
        check!(
            Should,
            head_of_blob_should_tell_the_digest,
            "a HEAD of a blob gives its digest in Docker-Content-Digest"
        ),
        check!(
            Should,
            head_of_manifest_should_tell_the_digest,
            "a HEAD of a manifest gives its digest in Docker-Content-Digest"
        ),
        check!(
            Should,
            head_of_blob_should_tell_the_size,
            "a HEAD of a blob gives its size in Content-Length"
        ),
        check!(
            Should,
            head_of_manifest_should_tell_the_size,
            "a HEAD of a manifest gives its size in Content-Length"
        ),
        check!(
            Expected,
            head_of_manifest_tells_the_type,
            "a HEAD of a manifest gives its media type in Content-Type, as GET does"
        ),
        check!(
            Must,
            head_of_missing_blob_must_be_404,
            "a HEAD of a blob that does not exist is answered with 404"
        ),
        check!(
            Must,
            head_of_missing_tag_must_be_404,
            "a HEAD of a tag that does not exist is answered with 404"
        ),
        check!(
            Must,
            head_of_missing_digest_must_be_404,
            "a HEAD of a manifest digest that does not exist is answered with 404"
        ),
        check!(
            Must,
            head_in_missing_repository_must_be_404,
            "a HEAD in a repository that does not exist is answered with 404"
        ),
    ]
}

async fn head_of_blob_must_be_200(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let blob = repository.push_random_blob(100).await?;
    repository
        .blob(Method::HEAD, &blob.digest)
        .send()
        .await?
        .expect(200)?;
    Ok(())
}

async fn head_of_manifest_by_tag_must_be_200(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    repository
        .manifest(Method::HEAD, "present")
        .send()
        .await?
        .expect(200)?;
    Ok(())
}

async fn head_of_manifest_by_digest_must_be_200(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let document = repository.push(&Image::new()).await?;
    repository
        .manifest(Method::HEAD, document.digest())
        .send()
        .await?
        .expect(200)?;
    Ok(())
}

async fn head_of_blob_should_tell_the_digest(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let blob = repository.push_random_blob(100).await?;
    let answer = repository.blob(Method::HEAD, &blob.digest).send().await?;
    answer
        .expect(200)?
        .expect_header("docker-content-digest", &blob.digest)?;
    Ok(())
}

async fn head_of_manifest_should_tell_the_digest(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let document = repository.push_as("latest", &Image::new()).await?;
    for reference in ["latest", document.digest()] {
        let answer = repository.manifest(Method::HEAD, reference).send().await?;
        answer
            .expect(200)?
            .expect_header("docker-content-digest", document.digest())?;
    }
    Ok(())
}

async fn head_of_blob_should_tell_the_size(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    for size in [1, 77_777] {
        let blob = repository.push_random_blob(size).await?;
        let answer = repository.blob(Method::HEAD, &blob.digest).send().await?;
        answer
            .expect(200)?
            .expect_header("content-length", &size.to_string())?;
    }
    Ok(())
}

async fn head_of_manifest_should_tell_the_size(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let document = repository.push_as("latest", &Image::new()).await?;
    for reference in ["latest", document.digest()] {
        let answer = repository.manifest(Method::HEAD, reference).send().await?;
        let size = document.bytes().len().to_string();
        answer.expect(200)?.expect_header("content-length", &size)?;
    }
    Ok(())
}

async fn head_of_manifest_tells_the_type(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    let answer = repository.manifest(Method::HEAD, "present").send().await?;
    answer
        .expect(200)?
        .expect_header("content-type", OCI_IMAGE)?;
    Ok(())
}

async fn head_of_missing_blob_must_be_404(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    repository
        .blob(Method::HEAD, &missing_digest())
        .send()
        .await?
        .expect(404)?;
    Ok(())
}

async fn head_of_missing_tag_must_be_404(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    repository
        .manifest(Method::HEAD, "absent")
        .send()
        .await?
        .expect(404)?;
    Ok(())
}

async fn head_of_missing_digest_must_be_404(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    repository
        .manifest(Method::HEAD, &missing_digest())
        .send()
        .await?
        .expect(404)?;
    Ok(())
}

async fn head_in_missing_repository_must_be_404(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    repository
        .blob(Method::HEAD, &missing_digest())
        .send()
        .await?
        .expect(404)?;
    repository
        .manifest(Method::HEAD, "latest")
        .send()
        .await?
        .expect(404)?;
    Ok(())
}
