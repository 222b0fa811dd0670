//! "Pulling manifests": GET of a manifest by tag and by digest.

use reqwest::Method;

use crate::{
    Check, Failure, Registry,
    check::check,
    fixture::{DOCKER_LIST, Image, MANIFESTS, OCI_IMAGE, OCI_INDEX, missing_digest},
};

const SECTION: &str = "Pulling manifests";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Must,
            get_by_tag_must_be_200_with_the_pushed_bytes,
            "a GET of a manifest by tag gives the manifest with 200 OK"
        ),
        check!(
            Must,
            get_by_digest_must_be_200_with_the_pushed_bytes,
            "a GET of a manifest by digest gives the manifest with 200 OK"
        ),
        check!(
            Must,
            get_of_index_must_be_200_with_the_pushed_bytes,
            "a GET of an index gives the index itself, and its children by their digests"
        ),
        check!(
            Must,
            content_type_must_be_the_type_of_an_image_manifest,
            "the Content-Type of the answer is the media type of the manifest"
        ),
        check!(
            Must,
            content_type_must_be_the_type_of_an_index,
            "the Content-Type of the answer is the media type of the index"
        ),
        check!(
            Should,
            content_type_should_have_no_parameters,
            "the Content-Type of a manifest carries no parameters"
        ),
        check!(
            Should,
            docker_content_digest_should_be_sent_by_tag,
            "a manifest pulled by tag comes with its digest in Docker-Content-Digest"
        ),
        check!(
            Should,
            docker_content_digest_should_be_sent_by_digest,
            "a manifest pulled by digest comes with that digest in Docker-Content-Digest"
        ),
        check!(
            Must,
            docker_content_digest_must_match_the_body,
            "Docker-Content-Digest, if it is sent, is the digest of the manifest in the body"
        ),
        check!(
            Must,
            get_must_serve_a_client_that_accepts_more_types,
            "a manifest is served when its type is one of several in Accept, with weights"
        ),
        check!(
            Must,
            get_must_serve_several_accept_headers,
            "a manifest is served when its type is in any of several Accept headers"
        ),
        check!(
            Must,
            get_must_serve_a_client_that_accepts_anything,
            "a manifest that exists is served to a client that sends `Accept: */*`"
        ),
        check!(
            Must,
            get_of_missing_tag_must_be_404,
            "a GET of a tag that does not exist is answered with 404 Not Found"
        ),
        check!(
            Must,
            get_of_missing_digest_must_be_404,
            "a GET of a manifest digest that does not exist is answered with 404 Not Found"
        ),
        check!(
            Must,
            get_of_a_layers_digest_must_be_404,
            "a blob that is no manifest is not found among the manifests"
        ),
        check!(
            Must,
            get_in_missing_repository_must_be_404,
            "a GET of a manifest in a repository that does not exist is answered with 404"
        ),
    ]
}

async fn get_by_tag_must_be_200_with_the_pushed_bytes(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let document = repository.push_as("v1.0", &Image::new()).await?;
    repository.expect_manifest("v1.0", &document).await
}

async fn get_by_digest_must_be_200_with_the_pushed_bytes(
    registry: Registry,
) -> Result<(), Failure> {
    let repository = registry.repository();
    let document = repository.push_as("latest", &Image::new()).await?;
    repository
        .expect_manifest(document.digest(), &document)
        .await
}

async fn get_of_index_must_be_200_with_the_pushed_bytes(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let children = [
        repository.push(&Image::new()).await?,
        repository.push(&Image::new()).await?,
    ];
    let index = repository
        .push_as("multi", &Image::index(&children))
        .await?;
    repository.expect_manifest("multi", &index).await?;
    for child in &children {
        repository.expect_manifest(child.digest(), child).await?;
    }
    Ok(())
}

async fn content_type_must_be_the_type_of_an_image_manifest(
    registry: Registry,
) -> Result<(), Failure> {
    let repository = registry.repository();
    let document = repository.push_as("latest", &Image::new()).await?;
    for reference in ["latest", document.digest()] {
        let answer = repository.manifest(Method::GET, reference).send().await?;
        answer
            .expect(200)?
            .expect_header("content-type", OCI_IMAGE)?;
    }
    Ok(())
}

async fn content_type_must_be_the_type_of_an_index(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let child = repository.push(&Image::new()).await?;
    let index = repository
        .push_as("latest", &Image::index(&[child]))
        .await?;
    for reference in ["latest", index.digest()] {
        let answer = repository.manifest(Method::GET, reference).send().await?;
        answer
            .expect(200)?
            .expect_header("content-type", OCI_INDEX)?;
    }
    Ok(())
}

async fn content_type_should_have_no_parameters(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    repository.push_as("latest", &Image::new()).await?;
    let answer = repository.manifest(Method::GET, "latest").send().await?;
    if answer.expect(200)?.require("content-type")?.contains(';') {
        return Err(answer.violates("a content type without parameters"));
    }
    Ok(())
}

async fn docker_content_digest_should_be_sent_by_tag(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let document = repository.push_as("latest", &Image::new()).await?;
    let answer = repository.manifest(Method::GET, "latest").send().await?;
    answer
        .expect(200)?
        .expect_header("docker-content-digest", document.digest())?;
    Ok(())
}

async fn docker_content_digest_should_be_sent_by_digest(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let document = repository.push(&Image::new()).await?;
    let answer = repository
        .manifest(Method::GET, document.digest())
        .send()
        .await?;
    answer
        .expect(200)?
        .expect_header("docker-content-digest", document.digest())?;
    Ok(())
}

async fn docker_content_digest_must_match_the_body(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let first = repository.push_as("latest", &Image::new()).await?;
    let second = repository.push_as("latest", &Image::new()).await?;
    for (reference, document) in [
        ("latest", &second),
        (first.digest(), &first),
        (second.digest(), &second),
    ] {
        let answer = repository.manifest(Method::GET, reference).send().await?;
        answer.expect(200)?.expect_body(document.bytes())?;
        answer.expect_header_if_any("docker-content-digest", document.digest())?;
    }
    Ok(())
}

async fn get_must_serve_a_client_that_accepts_more_types(
    registry: Registry,
) -> Result<(), Failure> {
    let repository = registry.repository();
    let document = repository.push_as("latest", &Image::new()).await?;
    let accept = format!("text/html;q=0.2, {DOCKER_LIST};q=0.9,{OCI_IMAGE};q=0.5, {OCI_INDEX}");
    let request = repository.get("manifests/latest").header("accept", &accept);
    request
        .send()
        .await?
        .expect(200)?
        .expect_body(document.bytes())?;
    Ok(())
}

async fn get_must_serve_several_accept_headers(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let document = repository.push_as("latest", &Image::new()).await?;
    let mut request = repository.get("manifests/latest");
    for media_type in MANIFESTS.iter().rev() {
        request = request.header("accept", media_type);
    }
    request
        .send()
        .await?
        .expect(200)?
        .expect_body(document.bytes())?;
    Ok(())
}

async fn get_must_serve_a_client_that_accepts_anything(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let document = repository.push_as("latest", &Image::new()).await?;
    let request = repository.get("manifests/latest").header("accept", "*/*");
    request
        .send()
        .await?
        .expect(200)?
        .expect_body(document.bytes())?;
    Ok(())
}

async fn get_of_missing_tag_must_be_404(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    repository
        .manifest(Method::GET, "absent")
        .send()
        .await?
        .expect(404)?;
    Ok(())
}

async fn get_of_missing_digest_must_be_404(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    repository
        .manifest(Method::GET, &missing_digest())
        .send()
        .await?
        .expect(404)?;
    Ok(())
}

async fn get_of_a_layers_digest_must_be_404(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let image = Image::new();
    repository.push(&image).await?;
    for blob in &image.blobs {
        repository
            .manifest(Method::GET, &blob.digest)
            .send()
            .await?
            .expect(404)?;
    }
    Ok(())
}

async fn get_in_missing_repository_must_be_404(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    repository
        .manifest(Method::GET, "latest")
        .send()
        .await?
        .expect(404)?;
    repository
        .manifest(Method::GET, &missing_digest())
        .send()
        .await?
        .expect(404)?;
    Ok(())
}
