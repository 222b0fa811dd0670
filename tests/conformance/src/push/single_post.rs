//! "Single POST": the whole blob in the POST that would open a session.

use bytes::Bytes;
use reqwest::Method;

use crate::{
    Check, Failure, Registry,
    check::check,
    client::Request,
    fixture::{Blob, missing_digest},
    repository::Repository,
    upload::Upload,
};

const SECTION: &str = "Single POST";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Should,
            an_unsupported_post_should_be_202_with_a_usable_location,
            "a registry that takes no blob in a POST opens a session with 202 and a Location; one \
             that does answers 201"
        ),
        check!(
            Must,
            post_must_be_201_with_a_pullable_location,
            "a blob in a single POST is answered with 201 and a Location to pull it from",
            [SinglePost]
        ),
        check!(
            Must,
            post_with_a_wrong_digest_must_be_400,
            "a POST whose bytes do not have the claimed digest is answered with 400",
            [SinglePost]
        ),
        check!(
            Must,
            post_with_a_wrong_digest_must_store_nothing,
            "after a POST with a wrong digest, neither the claimed nor the true digest is there"
        ),
    ]
}

fn post(repository: &Repository, digest: &str, bytes: Bytes) -> Request {
    repository
        .post_upload()
        .query("digest", digest)
        .header("content-type", "application/octet-stream")
        .body(bytes)
}

async fn an_unsupported_post_should_be_202_with_a_usable_location(
    registry: Registry,
) -> Result<(), Failure> {
    let repository = registry.repository();
    let blob = Blob::random(1000);
    let answer = post(&repository, &blob.digest, blob.bytes.clone())
        .send()
        .await?;
    if answer.expect_any(&[201, 202])?.status() == 202 {
        let upload = Upload::opened(&repository, &answer)?;
        upload.close_with(&blob).send().await?.expect(201)?;
    }
    repository.expect_blob(&blob).await
}

async fn post_must_be_201_with_a_pullable_location(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let blob = Blob::random(1000);
    let answer = post(&repository, &blob.digest, blob.bytes.clone())
        .send()
        .await?;
    answer.expect(201)?;
    repository.expect_at(answer.location()?, &blob).await?;
    repository.expect_blob(&blob).await
}

async fn post_with_a_wrong_digest_must_be_400(registry: Registry) -> Result<(), Failure> {
    let wrong = post(
        &registry.repository(),
        &missing_digest(),
        Bytes::from_static(b"bytes"),
    );
    wrong.send().await?.expect(400)?;
    Ok(())
}

async fn post_with_a_wrong_digest_must_store_nothing(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    let (sent, claimed) = (Blob::random(1000), missing_digest());
    let answer = post(&repository, &claimed, sent.bytes.clone())
        .send()
        .await?;
    answer.expect_any(&[400, 202])?;
    for digest in [&claimed, &sent.digest] {
        repository
            .blob(Method::GET, digest)
            .send()
            .await?
            .expect(404)?;
    }
    Ok(())
}
