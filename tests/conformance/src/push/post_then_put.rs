//! "POST then PUT": a session is opened, then the whole blob is sent at once.

use bytes::Bytes;
use reqwest::Method;

use crate::{
    Check, Failure, Registry,
    check::check,
    fixture::{Blob, missing_digest},
};

const SECTION: &str = "POST then PUT";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Must,
            post_must_be_202_with_a_location,
            "a POST that opens a session is answered with 202 Accepted and a Location"
        ),
        check!(
            Must,
            location_must_contain_a_uuid,
            "the Location of a session contains a UUID"
        ),
        check!(
            Must,
            each_session_must_have_its_own_location,
            "the UUID in the Location is unique to the session"
        ),
        check!(
            Must,
            put_must_be_201_with_a_pullable_location,
            "the PUT of a blob is answered with 201 Created and a Location to pull it from"
        ),
        check!(
            Must,
            put_of_a_blob_that_is_there_must_be_201,
            "a blob can be pushed again"
        ),
        check!(
            Must,
            two_sessions_for_one_blob_must_both_be_201,
            "two sessions that upload the same blob both finish"
        ),
        check!(
            Must,
            put_with_an_empty_body_must_be_201,
            "a blob of zero bytes can be pushed"
        ),
        check!(
            Expected,
            put_without_content_type_is_201,
            "a PUT that leaves out Content-Type is taken"
        ),
        check!(
            Expected,
            put_of_a_streamed_body_is_201,
            "a PUT whose length is not told in advance is taken"
        ),
        check!(
            Must,
            put_with_a_wrong_digest_must_be_400,
            "a PUT whose bytes do not have the claimed digest is answered with 400"
        ),
        check!(
            Must,
            put_with_a_wrong_digest_must_store_nothing,
            "after a PUT with a wrong digest, neither the claimed nor the true digest is there"
        ),
        check!(
            Must,
            put_without_a_digest_must_be_400,
            "a PUT without the digest parameter is answered with 400"
        ),
        check!(
            Must,
            put_with_a_malformed_digest_must_be_400,
            "a PUT whose digest is no digest is answered with 400"
        ),
        check!(
            Must,
            put_to_an_unknown_session_must_be_404,
            "a PUT to a session that does not exist is answered with 404"
        ),
        check!(
            Expected,
            a_finished_session_is_gone,
            "a session that was closed takes no second PUT"
        ),
    ]
}

async fn post_must_be_202_with_a_location(registry: Registry) -> Result<(), Failure> {
    let answer = registry.repository().post_upload().send().await?;
    answer.expect(202)?.location()?;
    Ok(())
}

fn has_uuid(text: &str) -> bool {
    let is_uuid = |word: &str| {
        let digits = word.replace('-', "");
        digits.len() == 32 && digits.chars().all(|digit| digit.is_ascii_hexdigit())
    };
    text.split(|mark: char| !mark.is_ascii_hexdigit() && mark != '-')
        .any(is_uuid)
}

async fn location_must_contain_a_uuid(registry: Registry) -> Result<(), Failure> {
    let answer = registry.repository().post_upload().send().await?;
    let location = answer.expect(202)?.location()?;
    if has_uuid(location.as_str()) {
        return Ok(());
    }
    Err(answer.violates("a UUID in `location`"))
}

async fn each_session_must_have_its_own_location(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let first = repository.start_upload().await?;
    let answer = repository.post_upload().send().await?;
    if answer.expect(202)?.location()? == first.location {
        return Err(answer.violates("another `location` than the session before"));
    }
    Ok(())
}

async fn put_must_be_201_with_a_pullable_location(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let upload = repository.start_upload().await?;
    let blob = Blob::random(1000);
    let answer = upload.close_with(&blob).send().await?;
    answer.expect(201)?;
    repository.expect_at(answer.location()?, &blob).await?;
    repository.expect_blob(&blob).await
}

async fn put_of_a_blob_that_is_there_must_be_201(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let blob = repository.push_random_blob(1000).await?;
    let answer = repository
        .start_upload()
        .await?
        .close_with(&blob)
        .send()
        .await?;
    answer.expect(201)?;
    repository.expect_at(answer.location()?, &blob).await
}

async fn two_sessions_for_one_blob_must_both_be_201(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let blob = Blob::random(100_000);
    let first = repository.start_upload().await?;
    let second = repository.start_upload().await?;
    let (first, second) = futures_util::future::join(
        first.close_with(&blob).send(),
        second.close_with(&blob).send(),
    )
    .await;
    first?.expect(201)?;
    second?.expect(201)?;
    repository.expect_blob(&blob).await
}

async fn put_with_an_empty_body_must_be_201(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let empty = Blob::of("");
    let answer = repository
        .start_upload()
        .await?
        .close_with(&empty)
        .send()
        .await?;
    answer.expect(201)?.location()?;
    Ok(())
}

async fn put_without_content_type_is_201(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let blob = Blob::random(1000);
    let upload = repository.start_upload().await?;
    let request = upload
        .bare_put()
        .query("digest", &blob.digest)
        .body(blob.bytes.clone());
    request.send().await?.expect(201)?;
    repository.expect_blob(&blob).await
}

async fn put_of_a_streamed_body_is_201(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let blob = Blob::random(100_000);
    let upload = repository.start_upload().await?;
    let request = upload.close_with(&blob).streamed(blob.bytes.clone());
    request.send().await?.expect(201)?;
    repository.expect_blob(&blob).await
}

async fn put_with_a_wrong_digest_must_be_400(registry: Registry) -> Result<(), Failure> {
    let upload = registry.repository().start_upload().await?;
    let wrong = upload.put(&missing_digest(), Bytes::from_static(b"other bytes"));
    wrong.send().await?.expect(400)?;
    Ok(())
}

async fn put_with_a_wrong_digest_must_store_nothing(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    let upload = repository.start_upload().await?;
    let (sent, claimed) = (Blob::random(1000), missing_digest());
    upload
        .put(&claimed, sent.bytes.clone())
        .send()
        .await?
        .expect_refusal()?;
    for digest in [&claimed, &sent.digest] {
        repository
            .blob(Method::GET, digest)
            .send()
            .await?
            .expect(404)?;
    }
    Ok(())
}

async fn put_without_a_digest_must_be_400(registry: Registry) -> Result<(), Failure> {
    let upload = registry.repository().start_upload().await?;
    let request = upload
        .bare_put()
        .header("content-type", "application/octet-stream");
    request.body("bytes").send().await?.expect(400)?;
    Ok(())
}

async fn put_with_a_malformed_digest_must_be_400(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    for digest in ["sha256:short", "no-digest", "sha256:"] {
        let upload = repository.start_upload().await?;
        upload
            .put(digest, Bytes::from_static(b"bytes"))
            .send()
            .await?
            .expect(400)?;
    }
    Ok(())
}

async fn put_to_an_unknown_session_must_be_404(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    let mut upload = repository.start_upload().await?;
    upload.cancel().send().await?.expect_any(&[200, 202, 204])?;
    let blob = Blob::random(100);
    upload.close_with(&blob).send().await?.expect(404)?;
    upload.location.set_query(None);
    upload.close_with(&blob).send().await?.expect(404)?;
    Ok(())
}

async fn a_finished_session_is_gone(registry: Registry) -> Result<(), Failure> {
    let upload = registry.repository().start_upload().await?;
    let blob = Blob::random(100);
    upload.close_with(&blob).send().await?.expect(201)?;
    upload.close_with(&blob).send().await?.expect(404)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::has_uuid;

    #[test]
    fn a_uuid_is_found_with_and_without_hyphens() {
        assert!(has_uuid(
            "/v2/a/blobs/uploads/0190163d-8694-739b-aea5-966c26f8ad90?_state=x"
        ));
        assert!(has_uuid(
            "http://h/upload?id=0190163d8694739baea5966c26f8ad90"
        ));
        assert!(!has_uuid("/v2/a/blobs/uploads/17"));
    }
}
