//! Docker's own manifests, schema 2, which are most of what is in use.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    Check, Failure, Registry,
    check::check,
    fixture::{DOCKER_IMAGE, DOCKER_LIST, Image, OCI_IMAGE},
};

const SECTION: &str = "Docker Registry HTTP API V2 (appendix)";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Expected,
            a_docker_image_is_pushed_and_pulled,
            "a Docker image manifest, schema 2, is stored and served under its own type"
        ),
        check!(
            Expected,
            a_docker_list_is_pushed_and_pulled,
            "a Docker manifest list is stored and served under its own type"
        ),
        check!(
            Expected,
            a_docker_image_is_not_served_as_an_oci_image,
            "a Docker manifest is not converted for a client that asks for the OCI type"
        ),
        check!(
            Expected,
            a_foreign_layer_may_be_missing,
            "a foreign layer lives elsewhere, so a manifest is taken without it"
        ),
    ]
}

/// A Docker image with one layer.
fn docker_image() -> Image {
    let mut image = Image::new().with("mediaType", json!(DOCKER_IMAGE));
    image.content["config"]["mediaType"] = json!("application/vnd.docker.container.image.v1+json");
    let layer = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    image.content["layers"][0]["mediaType"] = json!(layer);
    image
}

async fn a_docker_image_is_pushed_and_pulled(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let document = repository.push_as("latest", &docker_image()).await?;
    for reference in ["latest", document.digest()] {
        let answer = repository.manifest(Method::GET, reference).send().await?;
        answer.expect(200)?.expect_body(document.bytes())?;
        answer.expect_header("content-type", DOCKER_IMAGE)?;
    }
    Ok(())
}

async fn a_docker_list_is_pushed_and_pulled(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let child = repository.push(&docker_image()).await?;
    let mut descriptor = child.descriptor();
    descriptor["platform"] = json!({"architecture": "amd64", "os": "linux"});
    let list: Value =
        json!({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [descriptor]});
    let list = Image {
        blobs: Vec::new(),
        content: list,
    };
    let document = repository.push_as("latest", &list).await?;
    let answer = repository.manifest(Method::GET, "latest").send().await?;
    answer
        .expect(200)?
        .expect_body(document.bytes())?
        .expect_header("content-type", DOCKER_LIST)?;
    Ok(())
}

async fn a_docker_image_is_not_served_as_an_oci_image(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let document = repository.push_as("latest", &docker_image()).await?;
    let answer = repository
        .get("manifests/latest")
        .header("accept", OCI_IMAGE)
        .send()
        .await?;
    if answer.expect_any(&[200, 404, 406])?.status() == 200 {
        answer
            .expect_body(document.bytes())?
            .expect_header("content-type", DOCKER_IMAGE)?;
    }
    Ok(())
}

async fn a_foreign_layer_may_be_missing(registry: Registry) -> Result<(), Failure> {
    let (repository, mut image) = (registry.repository(), docker_image());
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    let mut layer = Image::new().blobs[1].descriptor(foreign);
    layer["urls"] = json!(["https://store.example.org/layer"]);
    let own = image.content["layers"][0].clone();
    image.content["layers"] = json!([layer, own]);
    let document = repository.push_as("latest", &image).await?;
    repository.expect_manifest("latest", &document).await
}
