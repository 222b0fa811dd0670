//! "Cancel a blob upload": DELETE of a session.

use crate::{Check, Failure, Registry, check::check};

const SECTION: &str = "Cancel a blob upload";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Should,
            delete_of_a_fresh_session_should_be_204,
            "a DELETE of a session is answered with 204 No Content"
        ),
        check!(
            Should,
            delete_of_a_session_with_chunks_should_be_204,
            "a DELETE of a session that has received bytes is answered with 204 No Content"
        ),
        check!(
            Must,
            a_canceled_session_must_be_gone,
            "after its DELETE, a session answers GET, PATCH and PUT with 404"
        ),
        check!(
            Must,
            delete_of_an_unknown_session_must_be_404,
            "a DELETE of a session that does not exist is answered with 404 or 400"
        ),
    ]
}

async fn delete_of_a_fresh_session_should_be_204(registry: Registry) -> Result<(), Failure> {
    let upload = registry.repository().start_upload().await?;
    upload.cancel().send().await?.expect(204)?;
    Ok(())
}

async fn delete_of_a_session_with_chunks_should_be_204(registry: Registry) -> Result<(), Failure> {
    let mut upload = registry.repository().start_upload().await?;
    let blob = upload.blob_of_three_chunks();
    upload.send_chunk(0, blob.bytes).await?;
    upload.cancel().send().await?.expect(204)?;
    Ok(())
}

async fn a_canceled_session_must_be_gone(registry: Registry) -> Result<(), Failure> {
    let mut upload = registry.repository().start_upload().await?;
    let blob = upload.blob_of_three_chunks();
    upload.send_chunk(0, blob.bytes.clone()).await?;
    upload.cancel().send().await?.expect_any(&[200, 202, 204])?;
    upload.status().send().await?.expect(404)?;
    upload
        .patch_at(blob.bytes.len(), blob.bytes.clone())
        .send()
        .await?
        .expect(404)?;
    upload.close(&blob.digest).send().await?.expect(404)?;
    Ok(())
}

async fn delete_of_an_unknown_session_must_be_404(registry: Registry) -> Result<(), Failure> {
    let upload = registry.repository().start_upload().await?;
    upload.cancel().send().await?.expect_any(&[200, 202, 204])?;
    upload.cancel().send().await?.expect_any(&[404, 400])?;
    Ok(())
}
