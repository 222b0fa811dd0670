//! "Listing Referrers": the `artifactType` filter.

use super::listing_referrers::{ask, descriptors};
use crate::{
    Check, Failure, Registry,
    check::check,
    fixture::{Document, Image},
    repository::Repository,
};

const SECTION: &str = "Listing Referrers";

const SBOM: &str = "application/vnd.example.sbom+json";
const SIGNATURE: &str = "application/vnd.example.signature";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Should,
            the_filter_should_be_applied,
            "a list asked for one artifactType has only referrers of that type, and says so in \
             OCI-Filters-Applied",
            [Referrers]
        ),
        check!(
            Must,
            an_applied_filter_must_be_told,
            "a list that leaves out referrers of other types says so in OCI-Filters-Applied",
            [Referrers]
        ),
        check!(
            Must,
            a_told_filter_must_be_applied,
            "a list that claims a filter in OCI-Filters-Applied has no referrer of another type",
            [Referrers]
        ),
        check!(
            Must,
            a_filter_that_matches_nothing_must_be_200_with_an_empty_list,
            "a filter that no referrer passes gives an empty list with 200",
            [Referrers]
        ),
        check!(
            Should,
            the_filter_should_know_types_from_the_config,
            "a referrer without artifactType is found by the media type of its config",
            [Referrers]
        ),
        check!(
            Expected,
            no_filter_is_told_where_none_was_asked,
            "a list without a filter comes without OCI-Filters-Applied",
            [Referrers]
        ),
    ]
}

/// A repository with a subject that an SBOM and a signature refer to.
async fn prepared(registry: &Registry) -> Result<(Repository, Document, Document), Failure> {
    let repository = registry.repository();
    let subject = repository.push(&Image::new()).await?;
    let sbom = repository
        .push(&Image::artifact(SBOM).about(&subject))
        .await?;
    repository
        .push(&Image::artifact(SIGNATURE).about(&subject))
        .await?;
    Ok((repository, subject, sbom))
}

async fn the_filter_should_be_applied(registry: Registry) -> Result<(), Failure> {
    let (repository, subject, sbom) = prepared(&registry).await?;
    let request = ask(&repository, subject.digest()).query("artifactType", SBOM);
    let answer = request.send().await?;
    let found = descriptors(&answer)?;
    answer.expect_header("oci-filters-applied", "artifactType")?;
    if found.len() == 1 && found[0]["digest"] == sbom.digest() {
        return Ok(());
    }
    Err(answer.violates("the one referrer of the type that was asked"))
}

async fn an_applied_filter_must_be_told(registry: Registry) -> Result<(), Failure> {
    let (repository, subject, _) = prepared(&registry).await?;
    let request = ask(&repository, subject.digest()).query("artifactType", SIGNATURE);
    let answer = request.send().await?;
    let told = answer.header("oci-filters-applied").is_some();
    if descriptors(&answer)?.len() == 2 || told {
        return Ok(());
    }
    Err(answer.violates("both referrers, or a header `oci-filters-applied`"))
}

async fn a_told_filter_must_be_applied(registry: Registry) -> Result<(), Failure> {
    let (repository, subject, _) = prepared(&registry).await?;
    let request = ask(&repository, subject.digest()).query("artifactType", SIGNATURE);
    let answer = request.send().await?;
    let found = descriptors(&answer)?;
    let told = answer.header("oci-filters-applied").is_some();
    if told && found.iter().any(|one| one["artifactType"] != SIGNATURE) {
        return Err(answer.violates("only referrers of the type that was asked"));
    }
    if found.is_empty() {
        return Err(answer.violates("the referrer of the type that was asked"));
    }
    Ok(())
}

async fn a_filter_that_matches_nothing_must_be_200_with_an_empty_list(
    registry: Registry,
) -> Result<(), Failure> {
    let (repository, subject, _) = prepared(&registry).await?;
    let request = ask(&repository, subject.digest());
    let answer = request
        .query("artifactType", "application/vnd.example.none")
        .send()
        .await?;
    let found = descriptors(&answer)?;
    if found.is_empty() || answer.header("oci-filters-applied").is_none() {
        return Ok(());
    }
    Err(answer.violates("an empty list"))
}

async fn the_filter_should_know_types_from_the_config(registry: Registry) -> Result<(), Failure> {
    let (repository, subject, _) = prepared(&registry).await?;
    let mut image = Image::new();
    let config_type = "application/vnd.example.config.v1+json";
    image.content["config"]["mediaType"] = config_type.into();
    let document = repository.push(&image.about(&subject)).await?;
    let request = ask(&repository, subject.digest()).query("artifactType", config_type);
    let answer = request.send().await?;
    let found = descriptors(&answer)?;
    answer.expect_header("oci-filters-applied", "artifactType")?;
    if found.len() == 1 && found[0]["digest"] == document.digest() {
        return Ok(());
    }
    Err(answer.violates("the one referrer whose config is of the type that was asked"))
}

async fn no_filter_is_told_where_none_was_asked(registry: Registry) -> Result<(), Failure> {
    let (repository, subject, _) = prepared(&registry).await?;
    let answer = ask(&repository, subject.digest()).send().await?;
    if descriptors(&answer)?.len() == 2 && answer.header("oci-filters-applied").is_none() {
        return Ok(());
    }
    Err(answer.violates("both referrers, and no header `oci-filters-applied`"))
}
