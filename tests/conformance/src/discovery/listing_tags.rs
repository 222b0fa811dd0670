//! "Listing Tags": the whole list.

use crate::{
    Check, Failure, Registry,
    answer::Answer,
    check::check,
    fixture::{Image, missing_digest},
    repository::Repository,
};

const SECTION: &str = "Listing Tags";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Must,
            list_must_be_200_with_name_and_tags,
            "the list of a repository is 200 OK with its name and all its tags in JSON"
        ),
        check!(
            Must,
            tags_must_be_in_lexical_order,
            "tags are in lexical order, by ASCII or without regard to case"
        ),
        check!(
            Must,
            a_repository_without_tags_must_be_200_with_an_empty_list,
            "a repository that has content but no tags is found, and its list is empty"
        ),
        check!(
            Must,
            list_of_missing_repository_must_be_404,
            "the list of a repository that does not exist is answered with 404"
        ),
        check!(
            Expected,
            the_list_is_json_by_its_type,
            "the list comes as application/json"
        ),
        check!(
            Expected,
            a_tag_is_listed_once_however_often_it_is_pushed,
            "a tag that was moved is listed once"
        ),
    ]
}

/// The tags in an answer, in their order.
pub(super) fn tags_of(answer: &Answer) -> Result<Vec<String>, Failure> {
    let document = answer.expect(200)?.json()?;
    let tags = document["tags"].as_array().and_then(|tags| {
        tags.iter()
            .map(|tag| tag.as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>()
    });
    tags.ok_or_else(|| answer.violates("a list `tags` of strings"))
}

/// The whole list of a repository.
pub(super) async fn list(repository: &Repository) -> Result<Vec<String>, Failure> {
    tags_of(&repository.get("tags/list").send().await?)
}

/// Pushes one image under each of `tags`.
pub(super) async fn tagged(registry: &Registry, tags: &[&str]) -> Result<Repository, Failure> {
    let repository = registry.repository();
    let document = repository.push(&Image::new()).await?;
    for tag in tags {
        repository.push_manifest(tag, &document).await?;
    }
    Ok(repository)
}

async fn list_must_be_200_with_name_and_tags(registry: Registry) -> Result<(), Failure> {
    let repository = tagged(&registry, &["alpha", "beta", "v1.0"]).await?;
    let answer = repository.get("tags/list").send().await?;
    let mut tags = tags_of(&answer)?;
    tags.sort();
    if tags != ["alpha", "beta", "v1.0"] {
        return Err(answer.violates("the tags alpha, beta and v1.0"));
    }
    if answer.json()?["name"] != repository.name {
        return Err(answer.violates("the name of the repository in `name`"));
    }
    Ok(())
}

async fn tags_must_be_in_lexical_order(registry: Registry) -> Result<(), Failure> {
    let repository = tagged(
        &registry,
        &["b", "C", "a10", "a2", "A", "_x", "0", "v1-0", "v1.0"],
    )
    .await?;
    let answer = repository.get("tags/list").send().await?;
    let tags = tags_of(&answer)?;
    let folded: Vec<String> = tags.iter().map(|tag| tag.to_lowercase()).collect();
    if tags.len() == 9 && (tags.is_sorted() || folded.is_sorted()) {
        return Ok(());
    }
    Err(answer.violates("nine tags in lexical order"))
}

async fn a_repository_without_tags_must_be_200_with_an_empty_list(
    registry: Registry,
) -> Result<(), Failure> {
    let repository = registry.repository();
    repository.push(&Image::new()).await?;
    let answer = repository.get("tags/list").send().await?;
    if tags_of(&answer)?.is_empty() {
        return Ok(());
    }
    Err(answer.violates("an empty list of tags"))
}

async fn list_of_missing_repository_must_be_404(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    repository.get("tags/list").send().await?.expect(404)?;
    let below = registry.repository_below(&format!("missing/{}", &missing_digest()[7..20]));
    below.get("tags/list").send().await?.expect(404)?;
    Ok(())
}

async fn the_list_is_json_by_its_type(registry: Registry) -> Result<(), Failure> {
    let repository = tagged(&registry, &["latest"]).await?;
    let answer = repository.get("tags/list").send().await?;
    if answer
        .expect(200)?
        .require("content-type")?
        .starts_with("application/json")
    {
        return Ok(());
    }
    Err(answer.violates("`content-type: application/json`"))
}

async fn a_tag_is_listed_once_however_often_it_is_pushed(
    registry: Registry,
) -> Result<(), Failure> {
    let repository = registry.repository();
    for _ in 0..3 {
        repository.push_as("latest", &Image::new()).await?;
    }
    let answer = repository.get("tags/list").send().await?;
    if tags_of(&answer)? == ["latest"] {
        return Ok(());
    }
    Err(answer.violates("the one tag latest"))
}
