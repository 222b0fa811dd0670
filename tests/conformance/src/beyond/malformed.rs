//! Names, tags and digests outside the grammar of "Pulling manifests" are
//! refused, and nothing breaks.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    Check, Failure, Registry,
    check::check,
    fixture::{Document, Image, OCI_IMAGE, missing_digest},
    repository::Repository,
};

const SECTION: &str = "Pulling manifests (grammar)";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Expected,
            a_malformed_name_is_name_invalid_or_404,
            "a push to a name outside the grammar is NAME_INVALID, or not found"
        ),
        check!(
            Expected,
            a_name_that_is_too_long_is_refused,
            "a name of more than 255 characters is refused"
        ),
        check!(
            Expected,
            a_malformed_tag_is_refused,
            "a push by a tag outside the grammar, or longer than 128 characters, is refused"
        ),
        check!(
            Expected,
            a_pull_by_a_malformed_tag_is_refused,
            "a pull by a tag outside the grammar is 404 or 400"
        ),
        check!(
            Expected,
            a_malformed_digest_of_a_blob_is_digest_invalid_or_404,
            "a pull of a blob by something that is no digest is DIGEST_INVALID, or not found"
        ),
        check!(
            Expected,
            a_malformed_digest_of_a_manifest_is_refused,
            "a pull of a manifest by a malformed digest is 404 or 400"
        ),
        check!(
            Expected,
            path_tricks_are_refused,
            "encoded dots and slashes in names, tags and digests lead nowhere"
        ),
        check!(
            Expected,
            deeply_nested_json_is_refused_or_stored,
            "a manifest nested a hundred thousand levels deep breaks nothing"
        ),
        check!(
            Expected,
            descriptors_that_make_no_sense_are_refused,
            "a manifest whose descriptors have no digest or an impossible size is refused"
        ),
    ]
}

/// Not digests: wrong lengths, letters, algorithms.
const DIGESTS: [&str; 6] = [
    "sha256:short",
    "sha256:",
    "sha256:ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ",
    "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
    "md5:d41d8cd98f00b204e9800998ecf8427e",
    "sha512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
];

async fn a_malformed_name_is_name_invalid_or_404(registry: Registry) -> Result<(), Failure> {
    for rest in [
        "UPPER", "-a", "a-", "_a", "a..b", "a___b", "a._b", "a//b", "a b", "\u{e9}",
    ] {
        let answer = registry.repository_below(rest).post_upload().send().await?;
        answer.expect_refusal()?;
        if answer.status() != 404 {
            answer.expect_error(&[400], &["NAME_INVALID"])?;
        }
    }
    Ok(())
}

async fn a_name_that_is_too_long_is_refused(registry: Registry) -> Result<(), Failure> {
    let long = registry.repository_below(&"a".repeat(256));
    long.post_upload().send().await?.expect_refusal()?;
    Ok(())
}

async fn a_malformed_tag_is_refused(registry: Registry) -> Result<(), Failure> {
    let (repository, image) = (registry.repository(), Image::new());
    repository.push_blobs(&image).await?;
    let document = image.document();
    for tag in [
        ".hidden",
        "-dash",
        "sp ace",
        "pl+us",
        "\u{e9}",
        &"a".repeat(129),
    ] {
        repository
            .put_manifest(tag, &document)
            .send()
            .await?
            .expect_refusal()?;
    }
    Ok(())
}

async fn a_pull_by_a_malformed_tag_is_refused(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    for tag in [".hidden", "-dash", "pl+us", &"a".repeat(129)] {
        repository
            .manifest(Method::GET, tag)
            .send()
            .await?
            .expect_any(&[404, 400])?;
    }
    Ok(())
}

async fn a_malformed_digest_of_a_blob_is_digest_invalid_or_404(
    registry: Registry,
) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    for digest in DIGESTS {
        let answer = repository.blob(Method::GET, digest).send().await?;
        answer.expect_any(&[404, 400])?;
        if answer.status() == 400 {
            answer.expect_error(&[400], &["DIGEST_INVALID"])?;
        }
    }
    Ok(())
}

async fn a_malformed_digest_of_a_manifest_is_refused(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    for digest in DIGESTS {
        let answer = repository.manifest(Method::GET, digest).send().await?;
        answer.expect_any(&[404, 400])?;
    }
    Ok(())
}

async fn path_tricks_are_refused(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    for trick in [
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e%2fx",
        "a%00b",
        "sha256:..%2f..%2fx",
    ] {
        for rest in [format!("blobs/{trick}"), format!("manifests/{trick}")] {
            repository.get(&rest).send().await?.expect_refusal()?;
        }
        registry
            .repository_below(trick)
            .post_upload()
            .send()
            .await?
            .expect_refusal()?;
    }
    Ok(())
}

/// Holds if the registry still serves what it has.
async fn expect_alive(repository: &Repository) -> Result<(), Failure> {
    repository
        .manifest(Method::GET, "present")
        .send()
        .await?
        .expect(200)?;
    Ok(())
}

async fn deeply_nested_json_is_refused_or_stored(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
    let text = format!("{{\"schemaVersion\":2,\"mediaType\":\"{OCI_IMAGE}\",\"x\":{open}{close}}}");
    let document = Document::raw(OCI_IMAGE, text);
    let answer = repository.put_manifest("deep", &document).send().await?;
    if answer.status() == 201 {
        repository.expect_manifest("deep", &document).await?;
    } else {
        answer.expect_refusal()?;
    }
    expect_alive(&repository).await
}

async fn descriptors_that_make_no_sense_are_refused(registry: Registry) -> Result<(), Failure> {
    let (repository, image) = (registry.repository().populated().await?, Image::new());
    repository.push_blobs(&image).await?;
    let layer = &image.content["layers"][0];
    let changed = |field: &str, value: Value| {
        let mut layer = layer.clone();
        layer[field] = value;
        image.clone().with("layers", json!([layer])).document()
    };
    for document in [
        changed("digest", json!("sha256:../../etc/passwd")),
        changed("digest", json!("")),
        changed("digest", json!(17)),
        changed("size", json!(-1)),
        changed("size", json!("many")),
        image.clone().with("layers", json!("none")).document(),
        image
            .clone()
            .with("config", json!(missing_digest()))
            .document(),
    ] {
        repository
            .put_manifest("bad", &document)
            .send()
            .await?
            .expect_refusal()?;
    }
    expect_alive(&repository).await
}
