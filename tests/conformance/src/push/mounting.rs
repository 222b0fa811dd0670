//! "Mounting a blob from another repository".

use reqwest::Method;

use crate::{
    Check, Failure, Registry,
    answer::Answer,
    check::check,
    fixture::{Blob, Image},
    repository::Repository,
    upload::Upload,
};

const SECTION: &str = "Mounting a blob from another repository";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Must,
            mount_must_be_201_with_a_pullable_location,
            "a mount is answered with 201 and a Location to pull the blob from",
            [Mounting]
        ),
        check!(
            Must,
            docker_content_digest_of_a_mount_must_match,
            "Docker-Content-Digest in the answer to a mount, if it is sent, is that of the blob",
            [Mounting]
        ),
        check!(
            Must,
            a_mounted_blob_must_do_for_a_manifest,
            "a manifest may refer to a mounted blob, which is then pulled like any other",
            [Mounting]
        ),
        check!(
            Should,
            mount_should_be_201_or_202,
            "a registry that can't mount the blob opens a session with 202 instead"
        ),
        check!(
            Should,
            mount_of_an_unknown_blob_should_be_202_with_a_usable_location,
            "a blob that the source does not have is not mounted: a session is opened with 202"
        ),
        check!(
            Should,
            mount_from_an_unknown_repository_should_be_202_with_a_usable_location,
            "nothing is mounted from a repository that does not exist: a session is opened with 202"
        ),
        check!(
            Should,
            mount_without_from_should_be_201_or_202,
            "without `from`, a registry mounts the blob if it finds it, or opens a session"
        ),
        check!(
            Should,
            mount_of_an_unknown_blob_without_from_should_be_202,
            "without `from`, a blob that nobody has is not mounted: a session is opened with 202"
        ),
        check!(
            Expected,
            mount_of_a_malformed_digest_mounts_nothing,
            "a mount of something that is no digest is refused, or opens a session"
        ),
    ]
}

async fn mount(
    repository: &Repository,
    digest: &str,
    from: Option<&Repository>,
) -> Result<Answer, Failure> {
    let request = repository
        .post_upload()
        .query("mount", digest)
        .header("content-length", "0");
    match from {
        Some(source) => request.query("from", &source.name).send().await,
        None => request.send().await,
    }
}

/// Holds if the answer is 201 and the blob is there, or 202 and the session
/// takes the blob.
async fn expect_blob_after(
    answer: &Answer,
    repository: &Repository,
    blob: &Blob,
) -> Result<(), Failure> {
    if answer.expect_any(&[201, 202])?.status() == 202 {
        let upload = Upload::opened(repository, answer)?;
        upload.close_with(blob).send().await?.expect(201)?;
    }
    repository.expect_blob(blob).await
}

async fn mount_must_be_201_with_a_pullable_location(registry: Registry) -> Result<(), Failure> {
    let (source, target) = (registry.other_repository(), registry.repository());
    let blob = source.push_random_blob(1000).await?;
    let answer = mount(&target, &blob.digest, Some(&source)).await?;
    answer.expect(201)?;
    target.expect_at(answer.location()?, &blob).await?;
    target.expect_blob(&blob).await
}

async fn docker_content_digest_of_a_mount_must_match(registry: Registry) -> Result<(), Failure> {
    let (source, target) = (registry.other_repository(), registry.repository());
    let blob = source.push_random_blob(1000).await?;
    let answer = mount(&target, &blob.digest, Some(&source)).await?;
    answer
        .expect(201)?
        .expect_header_if_any("docker-content-digest", &blob.digest)?;
    Ok(())
}

async fn a_mounted_blob_must_do_for_a_manifest(registry: Registry) -> Result<(), Failure> {
    let (source, target) = (registry.other_repository(), registry.repository());
    let image = Image::new();
    source.push(&image).await?;
    for blob in &image.blobs {
        mount(&target, &blob.digest, Some(&source))
            .await?
            .expect(201)?;
    }
    let document = image.document();
    target.push_manifest("latest", &document).await?;
    target.expect_manifest("latest", &document).await?;
    for blob in &image.blobs {
        target
            .blob(Method::HEAD, &blob.digest)
            .send()
            .await?
            .expect(200)?;
    }
    Ok(())
}

async fn mount_should_be_201_or_202(registry: Registry) -> Result<(), Failure> {
    let (source, target) = (registry.other_repository(), registry.repository());
    let blob = source.push_random_blob(1000).await?;
    let answer = mount(&target, &blob.digest, Some(&source)).await?;
    expect_blob_after(&answer, &target, &blob).await
}

async fn mount_of_an_unknown_blob_should_be_202_with_a_usable_location(
    registry: Registry,
) -> Result<(), Failure> {
    let source = registry.other_repository().populated().await?;
    let (target, blob) = (registry.repository(), Blob::random(1000));
    let answer = mount(&target, &blob.digest, Some(&source)).await?;
    answer.expect(202)?;
    expect_blob_after(&answer, &target, &blob).await
}

async fn mount_from_an_unknown_repository_should_be_202_with_a_usable_location(
    registry: Registry,
) -> Result<(), Failure> {
    let (source, target) = (registry.other_repository(), registry.repository());
    let blob = Blob::random(1000);
    let answer = mount(&target, &blob.digest, Some(&source)).await?;
    answer.expect(202)?;
    expect_blob_after(&answer, &target, &blob).await
}

async fn mount_without_from_should_be_201_or_202(registry: Registry) -> Result<(), Failure> {
    let (source, target) = (registry.other_repository(), registry.repository());
    let blob = source.push_random_blob(1000).await?;
    let answer = mount(&target, &blob.digest, None).await?;
    expect_blob_after(&answer, &target, &blob).await
}

async fn mount_of_an_unknown_blob_without_from_should_be_202(
    registry: Registry,
) -> Result<(), Failure> {
    let (target, blob) = (registry.repository(), Blob::random(1000));
    let answer = mount(&target, &blob.digest, None).await?;
    answer.expect(202)?;
    expect_blob_after(&answer, &target, &blob).await
}

async fn mount_of_a_malformed_digest_mounts_nothing(registry: Registry) -> Result<(), Failure> {
    let source = registry.other_repository().populated().await?;
    let answer = mount(&registry.repository(), "sha256:short", Some(&source)).await?;
    answer.expect_any(&[202, 400])?;
    Ok(())
}
