//! Content under SHA-512, which registries may support beside SHA-256.

use reqwest::Method;

use crate::{
    Check, Failure, Registry,
    check::check,
    fixture::{Blob, Image, missing_digest},
    upload::Upload,
};

const SECTION: &str = "Digests (image specification)";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            May,
            a_blob_by_post_and_put_may_go_by_sha512,
            "a blob pushed under SHA-512 is pulled under it",
            [Sha512]
        ),
        check!(
            Expected,
            answers_about_a_blob_name_the_digest_that_was_asked_for,
            "Docker-Content-Digest of a blob under SHA-512 is that digest, not another one of it",
            [Sha512]
        ),
        check!(
            May,
            a_blob_in_chunks_may_go_by_sha512,
            "a session may be closed under SHA-512, whatever was hashed before",
            [Sha512]
        ),
        check!(
            May,
            a_session_may_be_opened_with_its_digest_algorithm,
            "a POST may tell the algorithm in `digest-algorithm`, so that the registry hashes once",
            [Sha512]
        ),
        check!(
            May,
            a_blob_in_a_single_post_may_go_by_sha512,
            "a blob in a single POST may go by SHA-512",
            [Sha512, SinglePost]
        ),
        check!(
            May,
            a_blob_under_sha512_may_be_mounted,
            "a blob under SHA-512 is mounted like any other",
            [Sha512, Mounting]
        ),
        check!(
            Must,
            wrong_bytes_under_sha512_must_be_400,
            "bytes that do not have the claimed SHA-512 are answered with 400",
            [Sha512]
        ),
        check!(
            May,
            a_manifest_may_go_by_sha512,
            "a manifest pushed under SHA-512 is pulled under it, and answers name that digest",
            [Sha512]
        ),
        check!(
            May,
            an_image_of_blobs_under_sha512_may_be_pushed,
            "config and layers of a manifest may go by SHA-512, and be pulled by tag",
            [Sha512]
        ),
        check!(
            May,
            a_subject_may_go_by_sha512,
            "referrers of a manifest under SHA-512 are listed under it",
            [Sha512, Referrers]
        ),
        check!(
            May,
            a_manifest_under_sha512_may_be_deleted,
            "a manifest under SHA-512 is deleted like any other",
            [Sha512, ManifestDeletion]
        ),
        check!(
            Must,
            missing_content_under_sha512_must_be_404,
            "blobs and manifests that are not there under SHA-512 are answered with 404",
            [Sha512]
        ),
    ]
}

async fn a_blob_by_post_and_put_may_go_by_sha512(registry: Registry) -> Result<(), Failure> {
    let (repository, blob) = (registry.repository(), Blob::random(1000).under_sha512());
    let answer = repository
        .start_upload()
        .await?
        .close_with(&blob)
        .send()
        .await?;
    answer.expect(201)?;
    repository.expect_at(answer.location()?, &blob).await?;
    repository
        .blob(Method::HEAD, &blob.digest)
        .send()
        .await?
        .expect(200)?;
    repository.expect_blob(&blob).await
}

async fn answers_about_a_blob_name_the_digest_that_was_asked_for(
    registry: Registry,
) -> Result<(), Failure> {
    let (repository, blob) = (registry.repository(), Blob::random(1000).under_sha512());
    let put = repository
        .start_upload()
        .await?
        .close_with(&blob)
        .send()
        .await?;
    let head = repository.blob(Method::HEAD, &blob.digest).send().await?;
    let get = repository.blob(Method::GET, &blob.digest).send().await?;
    put.expect(201)?
        .expect_header_if_any("docker-content-digest", &blob.digest)?;
    for answer in [head, get] {
        answer
            .expect(200)?
            .expect_header("docker-content-digest", &blob.digest)?;
    }
    Ok(())
}

async fn a_blob_in_chunks_may_go_by_sha512(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let mut upload = repository.start_upload().await?;
    let (blob, split) = (upload.blob_of_three_chunks().under_sha512(), upload.chunk);
    upload.send_chunk(0, blob.bytes.slice(..split)).await?;
    upload.send_chunk(split, blob.bytes.slice(split..)).await?;
    upload.close(&blob.digest).send().await?.expect(201)?;
    repository.expect_blob(&blob).await
}

async fn a_session_may_be_opened_with_its_digest_algorithm(
    registry: Registry,
) -> Result<(), Failure> {
    let repository = registry.repository();
    for blob in [Blob::random(1000).under_sha512(), Blob::random(1000)] {
        let algorithm = blob.digest.split(':').next().unwrap_or_default();
        let answer = repository
            .post_upload()
            .query("digest-algorithm", algorithm)
            .send()
            .await?;
        let mut upload = Upload::opened(&repository, &answer)?;
        upload.send_chunk(0, blob.bytes.clone()).await?;
        upload.close(&blob.digest).send().await?.expect(201)?;
        repository.expect_blob(&blob).await?;
    }
    Ok(())
}

async fn a_blob_in_a_single_post_may_go_by_sha512(registry: Registry) -> Result<(), Failure> {
    let (repository, blob) = (registry.repository(), Blob::random(1000).under_sha512());
    let request = repository.post_upload().query("digest", &blob.digest);
    let request = request.header("content-type", "application/octet-stream");
    request.body(blob.bytes.clone()).send().await?.expect(201)?;
    repository.expect_blob(&blob).await
}

async fn a_blob_under_sha512_may_be_mounted(registry: Registry) -> Result<(), Failure> {
    let (source, target) = (registry.other_repository(), registry.repository());
    let blob = Blob::random(1000).under_sha512();
    source.push_blob(&blob).await?;
    let request = target.post_upload().query("mount", &blob.digest);
    request
        .query("from", &source.name)
        .send()
        .await?
        .expect(201)?;
    target.expect_blob(&blob).await
}

async fn wrong_bytes_under_sha512_must_be_400(registry: Registry) -> Result<(), Failure> {
    let upload = registry.repository().start_upload().await?;
    let claimed = Blob::random(10).under_sha512().digest;
    upload
        .put(&claimed, Blob::random(1000).bytes)
        .send()
        .await?
        .expect(400)?;
    Ok(())
}

async fn a_manifest_may_go_by_sha512(registry: Registry) -> Result<(), Failure> {
    let (repository, image) = (registry.repository(), Image::new());
    repository.push_blobs(&image).await?;
    let document = image.document().under_sha512();
    let answer = repository
        .push_manifest(document.digest(), &document)
        .await?;
    answer.expect_header_if_any("docker-content-digest", document.digest())?;
    repository
        .expect_at(answer.location()?, &document.blob)
        .await?;
    let answer = repository
        .manifest(Method::GET, document.digest())
        .send()
        .await?;
    answer.expect(200)?.expect_body(document.bytes())?;
    answer.expect_header_if_any("docker-content-digest", document.digest())?;
    Ok(())
}

async fn an_image_of_blobs_under_sha512_may_be_pushed(registry: Registry) -> Result<(), Failure> {
    let (repository, image) = (registry.repository(), Image::with_sha512());
    let document = repository.push_as("latest", &image).await?;
    repository.expect_manifest("latest", &document).await?;
    for blob in &image.blobs {
        repository.expect_blob(blob).await?;
    }
    Ok(())
}

async fn a_subject_may_go_by_sha512(registry: Registry) -> Result<(), Failure> {
    let (repository, image) = (registry.repository(), Image::new());
    repository.push_blobs(&image).await?;
    let subject = image.document().under_sha512();
    repository.push_manifest(subject.digest(), &subject).await?;
    let artifact = Image::artifact("application/vnd.example.x").about(&subject);
    repository.push_blobs(&artifact).await?;
    let document = artifact.document();
    let answer = repository
        .push_manifest(document.digest(), &document)
        .await?;
    answer.expect_header("oci-subject", subject.digest())?;
    let answer = repository
        .get(&format!("referrers/{}", subject.digest()))
        .send()
        .await?;
    if answer.expect(200)?.json()?["manifests"][0]["digest"] == document.digest() {
        return Ok(());
    }
    Err(answer.violates("the referrer of the manifest under SHA-512"))
}

async fn a_manifest_under_sha512_may_be_deleted(registry: Registry) -> Result<(), Failure> {
    let (repository, image) = (registry.repository(), Image::new());
    repository.push_blobs(&image).await?;
    let document = image.document().under_sha512();
    repository
        .push_manifest(document.digest(), &document)
        .await?;
    repository
        .manifest(Method::DELETE, document.digest())
        .send()
        .await?
        .expect(202)?;
    repository
        .manifest(Method::GET, document.digest())
        .send()
        .await?
        .expect(404)?;
    Ok(())
}

async fn missing_content_under_sha512_must_be_404(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    let digest = Blob::of(missing_digest()).under_sha512().digest;
    repository
        .blob(Method::GET, &digest)
        .send()
        .await?
        .expect(404)?;
    repository
        .manifest(Method::GET, &digest)
        .send()
        .await?
        .expect(404)?;
    Ok(())
}
