//! "Deleting tags".

use reqwest::Method;

use crate::{Check, Failure, Registry, check::check, fixture::Image};

const SECTION: &str = "Deleting tags";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Must,
            delete_must_be_202_or_say_that_it_is_disabled,
            "a DELETE of a tag is answered with 202, or with 400 or 405 where it is disabled"
        ),
        check!(
            Must,
            a_deleted_tag_must_be_404,
            "after its DELETE, a GET or HEAD of the tag is answered with 404",
            [TagDeletion]
        ),
        check!(
            Expected,
            a_deleted_tag_is_no_longer_listed,
            "a deleted tag is gone from the list of tags",
            [TagDeletion]
        ),
        check!(
            Expected,
            other_tags_and_the_manifest_stay,
            "a DELETE of a tag leaves the manifest and its other tags",
            [TagDeletion]
        ),
        check!(
            Must,
            delete_of_an_unknown_tag_must_be_404,
            "a DELETE of a tag that does not exist is answered with 404",
            [TagDeletion]
        ),
        check!(
            Must,
            delete_in_an_unknown_repository_must_be_404,
            "a DELETE of a tag in a repository that does not exist is answered with 404",
            [TagDeletion]
        ),
        check!(
            Expected,
            a_deleted_tag_can_be_pushed_again,
            "a tag that was deleted can be pushed again",
            [TagDeletion]
        ),
    ]
}

async fn delete_must_be_202_or_say_that_it_is_disabled(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    let answer = repository
        .manifest(Method::DELETE, "present")
        .send()
        .await?;
    answer.expect_any(&[202, 400, 405])?;
    Ok(())
}

async fn a_deleted_tag_must_be_404(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    repository
        .manifest(Method::DELETE, "present")
        .send()
        .await?
        .expect(202)?;
    repository
        .manifest(Method::GET, "present")
        .send()
        .await?
        .expect(404)?;
    repository
        .manifest(Method::HEAD, "present")
        .send()
        .await?
        .expect(404)?;
    Ok(())
}

async fn a_deleted_tag_is_no_longer_listed(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    repository.push_as("other", &Image::new()).await?;
    repository
        .manifest(Method::DELETE, "present")
        .send()
        .await?
        .expect(202)?;
    let answer = repository.get("tags/list").send().await?;
    if answer.expect(200)?.json()?["tags"] == serde_json::json!(["other"]) {
        return Ok(());
    }
    Err(answer.violates("the one tag other"))
}

async fn other_tags_and_the_manifest_stay(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let document = repository.push_as("one", &Image::new()).await?;
    repository.push_manifest("two", &document).await?;
    repository
        .manifest(Method::DELETE, "one")
        .send()
        .await?
        .expect(202)?;
    repository.expect_manifest("two", &document).await?;
    repository
        .expect_manifest(document.digest(), &document)
        .await
}

async fn delete_of_an_unknown_tag_must_be_404(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    repository
        .manifest(Method::DELETE, "absent")
        .send()
        .await?
        .expect(404)?;
    Ok(())
}

async fn delete_in_an_unknown_repository_must_be_404(registry: Registry) -> Result<(), Failure> {
    registry
        .repository()
        .manifest(Method::DELETE, "latest")
        .send()
        .await?
        .expect(404)?;
    Ok(())
}

async fn a_deleted_tag_can_be_pushed_again(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    repository
        .manifest(Method::DELETE, "present")
        .send()
        .await?
        .expect(202)?;
    let document = repository.push_as("present", &Image::new()).await?;
    repository.expect_manifest("present", &document).await
}
