//! "Listing Referrers": which manifests the list has.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::listing_tags::list;
use crate::{
    Check, Failure, Registry,
    answer::Answer,
    check::check,
    client::Request,
    fixture::{Document, Image, OCI_INDEX, missing_digest},
    repository::Repository,
};

const SECTION: &str = "Listing Referrers";

const SIGNATURE: &str = "application/vnd.example.signature";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Must,
            list_must_be_200_with_an_image_index,
            "the list of referrers is 200 OK with an image index, and says so in Content-Type",
            [Referrers]
        ),
        check!(
            Must,
            a_manifest_without_referrers_must_be_200_with_an_empty_list,
            "a manifest that nothing refers to has an empty list",
            [Referrers]
        ),
        check!(
            Must,
            an_unknown_subject_must_be_200_with_an_empty_list,
            "a digest that the repository does not have has an empty list, never 404",
            [Referrers]
        ),
        check!(
            Must,
            an_unknown_repository_must_not_be_404,
            "a registry with the referrers API answers no such request with 404",
            [Referrers]
        ),
        check!(
            Must,
            a_malformed_digest_must_be_400,
            "a subject that is no digest is answered with 400",
            [Referrers]
        ),
        check!(
            Must,
            every_referrer_must_be_listed,
            "images and indexes with that subject are all listed, and nothing else is",
            [Referrers]
        ),
        check!(
            Must,
            referrers_pushed_before_the_subject_must_be_listed,
            "a referrer is listed whether it was pushed before the subject or after it",
            [Referrers]
        ),
        check!(
            Must,
            referrers_of_a_missing_subject_must_be_listed,
            "a referrer is listed also while its subject is not there",
            [Referrers]
        ),
        check!(
            Must,
            referrers_in_another_repository_must_not_be_listed,
            "each listed manifest is in the repository that was asked",
            [Referrers]
        ),
        check!(
            Expected,
            a_referrer_is_listed_once_however_often_it_is_pushed,
            "a referrer that was pushed again, or by tag as well, is listed once",
            [Referrers]
        ),
        check!(
            Expected,
            children_of_an_index_are_no_referrers,
            "an index does not make its children referrers, nor the other way round",
            [Referrers]
        ),
        check!(
            Expected,
            no_fallback_tag_is_made,
            "a registry with the referrers API adds no tag for the subject",
            [Referrers]
        ),
        check!(
            Must,
            all_pages_together_must_list_every_referrer,
            "a list too long for one manifest goes on at its Link, with other descriptors",
            [Referrers]
        ),
    ]
}

/// A request for the referrers of a digest.
pub(super) fn ask(repository: &Repository, digest: &str) -> Request {
    repository.get(&format!("referrers/{digest}"))
}

/// The descriptors in an answer; holds if it is an image index.
pub(super) fn descriptors(answer: &Answer) -> Result<Vec<Value>, Failure> {
    answer
        .expect(200)?
        .expect_header("content-type", OCI_INDEX)?;
    let index = answer.json()?;
    if index["schemaVersion"] != 2 || index["mediaType"] != OCI_INDEX {
        return Err(answer.violates("an image index with `schemaVersion` 2 and its `mediaType`"));
    }
    let manifests = index["manifests"].as_array().cloned();
    manifests.ok_or_else(|| answer.violates("a list `manifests` in the index"))
}

/// The digests that the first page of referrers lists, sorted.
async fn listed(repository: &Repository, subject: &str) -> Result<(Answer, Vec<String>), Failure> {
    let answer = ask(repository, subject).send().await?;
    let mut digests: Vec<String> = descriptors(&answer)?
        .iter()
        .filter_map(|descriptor| descriptor["digest"].as_str().map(str::to_owned))
        .collect();
    digests.sort();
    Ok((answer, digests))
}

/// Holds if exactly these manifests are listed, each once.
async fn expect_listed(
    repository: &Repository,
    subject: &str,
    referrers: &[&Document],
) -> Result<(), Failure> {
    let (answer, digests) = listed(repository, subject).await?;
    let mut wanted: Vec<&str> = referrers.iter().map(|document| document.digest()).collect();
    wanted.sort_unstable();
    if digests == wanted {
        return Ok(());
    }
    Err(answer.violates(format!("the referrers {wanted:?}")))
}

async fn list_must_be_200_with_an_image_index(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let subject = repository.push(&Image::new()).await?;
    repository
        .push(&Image::artifact(SIGNATURE).about(&subject))
        .await?;
    let answer = ask(&repository, subject.digest()).send().await?;
    if descriptors(&answer)?.len() == 1 {
        return Ok(());
    }
    Err(answer.violates("one referrer"))
}

async fn a_manifest_without_referrers_must_be_200_with_an_empty_list(
    registry: Registry,
) -> Result<(), Failure> {
    let repository = registry.repository();
    let document = repository.push(&Image::new()).await?;
    expect_listed(&repository, document.digest(), &[]).await
}

async fn an_unknown_subject_must_be_200_with_an_empty_list(
    registry: Registry,
) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    expect_listed(&repository, &missing_digest(), &[]).await
}

async fn an_unknown_repository_must_not_be_404(registry: Registry) -> Result<(), Failure> {
    expect_listed(&registry.repository(), &missing_digest(), &[]).await
}

async fn a_malformed_digest_must_be_400(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    for digest in ["sha256:short", "present", "sha256"] {
        ask(&repository, digest).send().await?.expect(400)?;
    }
    Ok(())
}

async fn every_referrer_must_be_listed(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let subject = repository.push_as("latest", &Image::new()).await?;
    let other = repository.push(&Image::new()).await?;
    let signature = repository
        .push(&Image::artifact(SIGNATURE).about(&subject))
        .await?;
    let image = repository.push(&Image::new().about(&subject)).await?;
    let index = repository
        .push_as("tagged", &Image::index(&[]).about(&subject))
        .await?;
    let of_other = repository
        .push(&Image::artifact(SIGNATURE).about(&other))
        .await?;
    expect_listed(&repository, subject.digest(), &[&signature, &image, &index]).await?;
    expect_listed(&repository, other.digest(), &[&of_other]).await
}

async fn referrers_pushed_before_the_subject_must_be_listed(
    registry: Registry,
) -> Result<(), Failure> {
    let (repository, image) = (registry.repository(), Image::new());
    let subject = image.document();
    let before = repository
        .push(&Image::artifact(SIGNATURE).about(&subject))
        .await?;
    repository.push(&image).await?;
    let after = repository
        .push(&Image::artifact(SIGNATURE).about(&subject))
        .await?;
    expect_listed(&repository, subject.digest(), &[&before, &after]).await
}

async fn referrers_of_a_missing_subject_must_be_listed(registry: Registry) -> Result<(), Failure> {
    let (repository, subject) = (registry.repository(), Image::new().document());
    let referrer = repository
        .push(&Image::artifact(SIGNATURE).about(&subject))
        .await?;
    expect_listed(&repository, subject.digest(), &[&referrer]).await
}

async fn referrers_in_another_repository_must_not_be_listed(
    registry: Registry,
) -> Result<(), Failure> {
    let (repository, other) = (registry.repository(), registry.other_repository());
    let image = Image::new();
    let subject = repository.push(&image).await?;
    other.push(&image).await?;
    let theirs = other
        .push(&Image::artifact(SIGNATURE).about(&subject))
        .await?;
    expect_listed(&repository, subject.digest(), &[]).await?;
    expect_listed(&other, subject.digest(), &[&theirs]).await
}

async fn a_referrer_is_listed_once_however_often_it_is_pushed(
    registry: Registry,
) -> Result<(), Failure> {
    let repository = registry.repository();
    let subject = repository.push(&Image::new()).await?;
    let referrer = repository
        .push(&Image::artifact(SIGNATURE).about(&subject))
        .await?;
    for reference in [referrer.digest(), "one", "two"] {
        repository.push_manifest(reference, &referrer).await?;
    }
    expect_listed(&repository, subject.digest(), &[&referrer]).await
}

async fn children_of_an_index_are_no_referrers(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let child = repository.push(&Image::new()).await?;
    let index = repository
        .push(&Image::index(std::slice::from_ref(&child)))
        .await?;
    expect_listed(&repository, child.digest(), &[]).await?;
    expect_listed(&repository, index.digest(), &[]).await
}

async fn no_fallback_tag_is_made(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let subject = repository.push_as("latest", &Image::new()).await?;
    repository
        .push(&Image::artifact(SIGNATURE).about(&subject))
        .await?;
    let fallback = subject.digest().replace(':', "-");
    let answer = repository.manifest(Method::GET, &fallback).send().await?;
    answer.expect(404)?;
    if list(&repository).await? == ["latest"] {
        return Ok(());
    }
    Err(answer.violates("no tag but latest in the list of tags"))
}

async fn all_pages_together_must_list_every_referrer(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let subject = repository.push(&Image::new()).await?;
    let mut wanted = BTreeSet::new();
    for _ in 0..10 {
        let bulky = json!({"org.example.bulk": "x".repeat(600 * 1024)});
        let artifact = Image::artifact(SIGNATURE)
            .about(&subject)
            .with("annotations", bulky);
        wanted.insert(repository.push(&artifact).await?.digest().to_owned());
    }
    let mut seen = Vec::new();
    let mut answer = ask(&repository, subject.digest()).send().await?;
    loop {
        let found = descriptors(&answer)?;
        seen.extend(
            found
                .iter()
                .filter_map(|one| one["digest"].as_str().map(str::to_owned)),
        );
        match answer.next_link()? {
            Some(next) if seen.len() < 2 * wanted.len() && !found.is_empty() => {
                answer = registry.request_url(Method::GET, next).send().await?;
            }
            _ => break,
        }
    }
    seen.sort();
    if seen.iter().eq(&wanted) {
        return Ok(());
    }
    Err(answer.violates(format!(
        "{} referrers over all pages, each once",
        wanted.len()
    )))
}
