//! Content belongs to the repositories it was pushed to, and to no other.

use reqwest::Method;

use crate::{Check, Failure, Registry, check::check, fixture::Image};

const SECTION: &str = "Definitions (repository)";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Expected,
            a_blob_is_not_found_in_another_repository,
            "a blob is found only where it was pushed or mounted"
        ),
        check!(
            Expected,
            a_manifest_is_not_found_in_another_repository,
            "a manifest is found only where it was pushed"
        ),
        check!(
            Expected,
            a_session_is_not_found_in_another_repository,
            "an upload session is of no use under the name of another repository"
        ),
    ]
}

async fn a_blob_is_not_found_in_another_repository(registry: Registry) -> Result<(), Failure> {
    let other = registry.repository().populated().await?;
    let blob = registry.repository().push_random_blob(100).await?;
    other
        .blob(Method::GET, &blob.digest)
        .send()
        .await?
        .expect(404)?;
    other
        .blob(Method::HEAD, &blob.digest)
        .send()
        .await?
        .expect(404)?;
    Ok(())
}

async fn a_manifest_is_not_found_in_another_repository(registry: Registry) -> Result<(), Failure> {
    let other = registry.repository().populated().await?;
    let document = registry
        .repository()
        .push_as("elsewhere", &Image::new())
        .await?;
    for reference in ["elsewhere", document.digest()] {
        other
            .manifest(Method::GET, reference)
            .send()
            .await?
            .expect(404)?;
    }
    Ok(())
}

async fn a_session_is_not_found_in_another_repository(registry: Registry) -> Result<(), Failure> {
    let (repository, other) = (
        registry.repository(),
        registry.repository().populated().await?,
    );
    let mut upload = repository.start_upload().await?;
    let path = upload
        .location
        .path()
        .replace(&repository.name, &other.name);
    if path == upload.location.path() {
        return Err(Failure::NotOffered(
            "locations of sessions with the name of the repository",
        ));
    }
    upload.location.set_path(&path);
    upload.status().send().await?.expect_refusal()?;
    Ok(())
}
