//! "Pushing Manifests with Subject": the registry says that it saw it.

use crate::{Check, Failure, Registry, check::check, fixture::Image};

const SECTION: &str = "Pushing Manifests with Subject";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Must,
            oci_subject_must_name_the_subject_of_an_image,
            "the answer to a manifest with a subject carries its digest in OCI-Subject",
            [Referrers]
        ),
        check!(
            Must,
            oci_subject_must_name_a_missing_subject,
            "OCI-Subject is sent also when the subject is not there",
            [Referrers]
        ),
        check!(
            Must,
            oci_subject_must_name_the_subject_of_an_index,
            "the answer to an index with a subject carries its digest in OCI-Subject",
            [Referrers]
        ),
        check!(
            Must,
            oci_subject_must_be_sent_for_a_push_by_tag,
            "OCI-Subject is sent also when the manifest is pushed by a tag",
            [Referrers]
        ),
        check!(
            Expected,
            oci_subject_is_not_sent_without_a_subject,
            "a manifest without a subject is answered without OCI-Subject",
            [Referrers]
        ),
    ]
}

const SIGNATURE: &str = "application/vnd.example.signature";

async fn oci_subject_must_name_the_subject_of_an_image(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let subject = repository.push_as("latest", &Image::new()).await?;
    let artifact = Image::artifact(SIGNATURE).about(&subject);
    repository.push_blobs(&artifact).await?;
    let document = artifact.document();
    let answer = repository
        .push_manifest(document.digest(), &document)
        .await?;
    answer.expect_header("oci-subject", subject.digest())?;
    Ok(())
}

async fn oci_subject_must_name_a_missing_subject(registry: Registry) -> Result<(), Failure> {
    let (repository, subject) = (registry.repository(), Image::new().document());
    let artifact = Image::artifact(SIGNATURE).about(&subject);
    repository.push_blobs(&artifact).await?;
    let document = artifact.document();
    let answer = repository
        .push_manifest(document.digest(), &document)
        .await?;
    answer.expect_header("oci-subject", subject.digest())?;
    Ok(())
}

async fn oci_subject_must_name_the_subject_of_an_index(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let subject = repository.push(&Image::new()).await?;
    let child = repository.push(&Image::new()).await?;
    let index = Image::index(&[child]).about(&subject).document();
    let answer = repository.push_manifest(index.digest(), &index).await?;
    answer.expect_header("oci-subject", subject.digest())?;
    Ok(())
}

async fn oci_subject_must_be_sent_for_a_push_by_tag(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let subject = repository.push(&Image::new()).await?;
    let artifact = Image::artifact(SIGNATURE).about(&subject);
    repository.push_blobs(&artifact).await?;
    let answer = repository
        .push_manifest("signature", &artifact.document())
        .await?;
    answer.expect_header("oci-subject", subject.digest())?;
    Ok(())
}

async fn oci_subject_is_not_sent_without_a_subject(registry: Registry) -> Result<(), Failure> {
    let (repository, image) = (registry.repository(), Image::new());
    repository.push_blobs(&image).await?;
    let answer = repository
        .push_manifest("latest", &image.document())
        .await?;
    match answer.header("oci-subject") {
        None => Ok(()),
        Some(_) => Err(answer.violates("no header `oci-subject`")),
    }
}
