//! "Deleting Blobs".

use reqwest::Method;

use crate::{Check, Failure, Registry, check::check, fixture::missing_digest};

const SECTION: &str = "Deleting Blobs";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Must,
            delete_must_be_202_or_say_that_it_is_disabled,
            "a DELETE of a blob is answered with 202, or with 400 or 405 where it is disabled"
        ),
        check!(
            Must,
            a_deleted_blob_must_be_404,
            "after its DELETE, a GET or HEAD of the blob is answered with 404",
            [BlobDeletion]
        ),
        check!(
            Must,
            delete_of_an_unknown_blob_must_be_404,
            "a DELETE of a blob that does not exist is answered with 404",
            [BlobDeletion]
        ),
        check!(
            Must,
            delete_of_a_deleted_blob_must_be_404,
            "a second DELETE of a blob is answered with 404",
            [BlobDeletion]
        ),
        check!(
            Must,
            delete_in_an_unknown_repository_must_be_404,
            "a DELETE of a blob in a repository that does not exist is answered with 404",
            [BlobDeletion]
        ),
        check!(
            Expected,
            the_same_blob_elsewhere_stays,
            "a blob deleted in one repository stays in another",
            [BlobDeletion]
        ),
        check!(
            Expected,
            a_deleted_blob_can_be_pushed_again,
            "a blob that was deleted can be pushed again",
            [BlobDeletion]
        ),
    ]
}

async fn delete_must_be_202_or_say_that_it_is_disabled(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let blob = repository.push_random_blob(100).await?;
    let answer = repository.blob(Method::DELETE, &blob.digest).send().await?;
    answer.expect_any(&[202, 400, 405])?;
    Ok(())
}

async fn a_deleted_blob_must_be_404(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let blob = repository.push_random_blob(100).await?;
    repository
        .blob(Method::DELETE, &blob.digest)
        .send()
        .await?
        .expect(202)?;
    repository
        .blob(Method::GET, &blob.digest)
        .send()
        .await?
        .expect(404)?;
    repository
        .blob(Method::HEAD, &blob.digest)
        .send()
        .await?
        .expect(404)?;
    Ok(())
}

async fn delete_of_an_unknown_blob_must_be_404(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    repository
        .blob(Method::DELETE, &missing_digest())
        .send()
        .await?
        .expect(404)?;
    Ok(())
}

async fn delete_of_a_deleted_blob_must_be_404(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let blob = repository.push_random_blob(100).await?;
    repository
        .blob(Method::DELETE, &blob.digest)
        .send()
        .await?
        .expect(202)?;
    repository
        .blob(Method::DELETE, &blob.digest)
        .send()
        .await?
        .expect(404)?;
    Ok(())
}

async fn delete_in_an_unknown_repository_must_be_404(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    repository
        .blob(Method::DELETE, &missing_digest())
        .send()
        .await?
        .expect(404)?;
    Ok(())
}

async fn the_same_blob_elsewhere_stays(registry: Registry) -> Result<(), Failure> {
    let (repository, other) = (registry.repository(), registry.other_repository());
    let blob = repository.push_random_blob(100).await?;
    other.push_blob(&blob).await?;
    repository
        .blob(Method::DELETE, &blob.digest)
        .send()
        .await?
        .expect(202)?;
    other.expect_blob(&blob).await
}

async fn a_deleted_blob_can_be_pushed_again(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let blob = repository.push_random_blob(100).await?;
    repository
        .blob(Method::DELETE, &blob.digest)
        .send()
        .await?
        .expect(202)?;
    repository.push_blob(&blob).await?;
    repository.expect_blob(&blob).await
}
