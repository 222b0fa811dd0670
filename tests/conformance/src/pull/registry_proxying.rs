//! "Registry Proxying": the `ns` parameter.

use reqwest::Method;

use crate::{Check, Failure, Registry, check::check, fixture::Image};

const SECTION: &str = "Registry Proxying";

/// A source host that no registry proxies.
const SOURCE: &str = "registry.example.org";

pub(super) fn checks() -> Vec<Check> {
    vec![check!(
        Should,
        the_ns_parameter_should_be_told_or_change_nothing,
        "a registry that uses the `ns` parameter returns it in OCI-Namespace; for one that \
         ignores it, content of its own is served as ever"
    )]
}

async fn the_ns_parameter_should_be_told_or_change_nothing(
    registry: Registry,
) -> Result<(), Failure> {
    let repository = registry.repository();
    let image = Image::new();
    let document = repository.push_as("latest", &image).await?;
    let manifest = repository
        .manifest(Method::GET, "latest")
        .query("ns", SOURCE)
        .send()
        .await?;
    if manifest.header("oci-namespace").is_some() {
        manifest.expect_header("oci-namespace", SOURCE)?;
        return Ok(());
    }
    manifest.expect(200)?.expect_body(document.bytes())?;
    for blob in &image.blobs {
        let request = repository
            .blob(Method::GET, &blob.digest)
            .query("ns", SOURCE);
        request
            .send()
            .await?
            .expect(200)?
            .expect_body(&blob.bytes)?;
    }
    Ok(())
}
