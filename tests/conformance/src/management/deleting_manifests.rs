//! "Deleting Manifests".

use reqwest::Method;

use crate::{
    Check, Failure, Registry,
    check::check,
    fixture::{Image, missing_digest},
};

const SECTION: &str = "Deleting Manifests";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Must,
            delete_must_be_202_or_say_that_it_is_disabled,
            "a DELETE of a manifest is answered with 202, or with 400 or 405 where it is disabled"
        ),
        check!(
            Must,
            a_deleted_manifest_must_be_404,
            "after its DELETE, a GET or HEAD of the digest is answered with 404",
            [ManifestDeletion]
        ),
        check!(
            Must,
            tags_of_a_deleted_manifest_must_be_404,
            "after its DELETE, a GET of each tag of the manifest is answered with 404",
            [ManifestDeletion]
        ),
        check!(
            Expected,
            tags_of_a_deleted_manifest_are_no_longer_listed,
            "the tags of a deleted manifest are gone from the list of tags",
            [ManifestDeletion]
        ),
        check!(
            Must,
            an_index_must_be_deleted_like_an_image,
            "an index is deleted like an image, and its children stay",
            [ManifestDeletion]
        ),
        check!(
            Must,
            delete_of_an_unknown_digest_must_be_404,
            "a DELETE of a manifest that does not exist is answered with 404",
            [ManifestDeletion]
        ),
        check!(
            Must,
            delete_in_an_unknown_repository_must_be_404,
            "a DELETE of a manifest in a repository that does not exist is answered with 404",
            [ManifestDeletion]
        ),
        check!(
            Must,
            a_deleted_referrer_must_be_gone_from_the_list,
            "a deleted manifest is no longer among the referrers of its subject",
            [ManifestDeletion, Referrers]
        ),
        check!(
            Expected,
            referrers_of_a_deleted_subject_are_no_404,
            "the referrers of a deleted manifest can still be asked for",
            [ManifestDeletion, Referrers]
        ),
        check!(
            Expected,
            the_same_manifest_elsewhere_stays,
            "a manifest deleted in one repository stays in another",
            [ManifestDeletion]
        ),
        check!(
            Expected,
            a_deleted_manifest_can_be_pushed_again,
            "a manifest that was deleted can be pushed again",
            [ManifestDeletion]
        ),
    ]
}

async fn delete_must_be_202_or_say_that_it_is_disabled(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let document = repository.push(&Image::new()).await?;
    let answer = repository
        .manifest(Method::DELETE, document.digest())
        .send()
        .await?;
    answer.expect_any(&[202, 400, 405])?;
    Ok(())
}

async fn a_deleted_manifest_must_be_404(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let digest = repository.push(&Image::new()).await?.blob.digest;
    repository
        .manifest(Method::DELETE, &digest)
        .send()
        .await?
        .expect(202)?;
    repository
        .manifest(Method::GET, &digest)
        .send()
        .await?
        .expect(404)?;
    repository
        .manifest(Method::HEAD, &digest)
        .send()
        .await?
        .expect(404)?;
    Ok(())
}

async fn tags_of_a_deleted_manifest_must_be_404(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let document = repository.push_as("one", &Image::new()).await?;
    repository.push_manifest("two", &document).await?;
    repository
        .manifest(Method::DELETE, document.digest())
        .send()
        .await?
        .expect(202)?;
    for tag in ["one", "two"] {
        repository
            .manifest(Method::GET, tag)
            .send()
            .await?
            .expect(404)?;
    }
    Ok(())
}

async fn tags_of_a_deleted_manifest_are_no_longer_listed(
    registry: Registry,
) -> Result<(), Failure> {
    let repository = registry.repository();
    let document = repository.push_as("gone", &Image::new()).await?;
    repository.push_as("kept", &Image::new()).await?;
    repository
        .manifest(Method::DELETE, document.digest())
        .send()
        .await?
        .expect(202)?;
    let answer = repository.get("tags/list").send().await?;
    if answer.expect(200)?.json()?["tags"] == serde_json::json!(["kept"]) {
        return Ok(());
    }
    Err(answer.violates("the one tag kept"))
}

async fn an_index_must_be_deleted_like_an_image(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let child = repository.push(&Image::new()).await?;
    let index = repository
        .push(&Image::index(std::slice::from_ref(&child)))
        .await?;
    repository
        .manifest(Method::DELETE, index.digest())
        .send()
        .await?
        .expect(202)?;
    repository
        .manifest(Method::GET, index.digest())
        .send()
        .await?
        .expect(404)?;
    repository.expect_manifest(child.digest(), &child).await
}

async fn delete_of_an_unknown_digest_must_be_404(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    repository
        .manifest(Method::DELETE, &missing_digest())
        .send()
        .await?
        .expect(404)?;
    Ok(())
}

async fn delete_in_an_unknown_repository_must_be_404(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    repository
        .manifest(Method::DELETE, &missing_digest())
        .send()
        .await?
        .expect(404)?;
    Ok(())
}

async fn a_deleted_referrer_must_be_gone_from_the_list(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let subject = repository.push(&Image::new()).await?;
    let artifact = |kind: &str| Image::artifact(kind).about(&subject);
    let gone = repository
        .push(&artifact("application/vnd.example.gone"))
        .await?;
    let kept = repository
        .push(&artifact("application/vnd.example.kept"))
        .await?;
    repository
        .manifest(Method::DELETE, gone.digest())
        .send()
        .await?
        .expect(202)?;
    let answer = repository
        .get(&format!("referrers/{}", subject.digest()))
        .send()
        .await?;
    let manifests = answer.expect(200)?.json()?["manifests"].clone();
    if manifests.as_array().is_some_and(|list| list.len() == 1)
        && manifests[0]["digest"] == kept.digest()
    {
        return Ok(());
    }
    Err(answer.violates("the one referrer that was not deleted"))
}

async fn referrers_of_a_deleted_subject_are_no_404(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let subject = repository.push(&Image::new()).await?;
    repository
        .push(&Image::artifact("application/vnd.example.x").about(&subject))
        .await?;
    repository
        .manifest(Method::DELETE, subject.digest())
        .send()
        .await?
        .expect(202)?;
    repository
        .get(&format!("referrers/{}", subject.digest()))
        .send()
        .await?
        .expect(200)?;
    Ok(())
}

async fn the_same_manifest_elsewhere_stays(registry: Registry) -> Result<(), Failure> {
    let (repository, other, image) = (
        registry.repository(),
        registry.other_repository(),
        Image::new(),
    );
    let document = repository.push_as("latest", &image).await?;
    other.push_as("latest", &image).await?;
    repository
        .manifest(Method::DELETE, document.digest())
        .send()
        .await?
        .expect(202)?;
    other.expect_manifest("latest", &document).await
}

async fn a_deleted_manifest_can_be_pushed_again(registry: Registry) -> Result<(), Failure> {
    let (repository, image) = (registry.repository(), Image::new());
    let document = repository.push(&image).await?;
    repository
        .manifest(Method::DELETE, document.digest())
        .send()
        .await?
        .expect(202)?;
    repository.push_as("again", &image).await?;
    repository.expect_manifest("again", &document).await?;
    repository
        .expect_manifest(document.digest(), &document)
        .await
}
