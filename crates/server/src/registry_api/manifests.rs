//! `/v2/<name>/manifests/<reference>` (specification: "Pulling manifests",
//! "Pushing Manifests", "Deleting tags", "Deleting Manifests").

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use landfall_identity::{Action, Resource};
use landfall_oci::{ErrorCode, Reference, RepositoryName, Tag};
use landfall_registry::{Error, PushTarget};

use super::{Call, OciError, blobs, route};

pub(super) async fn get(
    call: Call,
    name: RepositoryName,
    reference: Reference,
) -> Result<Response, OciError> {
    call.allow_reference(Action::Pull, &name, &reference)
        .await?;
    let manifest = call.server.registry.manifest_get(&name, &reference).await?;
    let mut headers = HeaderMap::with_capacity(6);
    blobs::name_content(&mut headers, &manifest.digest);
    if call
        .header(header::IF_NONE_MATCH)
        .is_some_and(|sent| blobs::matches(sent, &manifest.digest))
    {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let media_type = HeaderValue::from_str(manifest.media_type.as_str());
    headers.insert(
        header::CONTENT_TYPE,
        media_type.unwrap_or(HeaderValue::from_static("application/octet-stream")),
    );
    headers.insert(
        header::CONTENT_LENGTH,
        HeaderValue::from(manifest.content.len()),
    );
    let content = if call.parts.method == Method::HEAD {
        Body::empty()
    } else {
        let size = manifest.content.len() as u64;
        manifest.usage().pulled(size, call.server.clock.now());
        Body::from(manifest.content.clone())
    };
    Ok((headers, content).into_response())
}

pub(super) async fn put(
    call: Call,
    name: RepositoryName,
    reference: Reference,
    body: Body,
) -> Result<Response, OciError> {
    call.allow_reference(Action::Push, &name, &reference)
        .await?;
    let target = target(&call, reference)?;
    // Each tag is one that is pushed, wherever it is named.
    for tag in &target.further {
        let resource = Resource::Repository(&name);
        call.allow_on(Action::Push, resource, Some(tag.as_str()))
            .await?;
    }
    let target = target.push;
    let content = read(body, call.server.registry.settings().max_manifest_size).await?;
    let account = call.account(&name).await?;
    let tags = target.tags.clone();
    let content_type = call.header(header::CONTENT_TYPE);
    let pushed = call
        .registry()
        .manifest_put(&name, account, target, content_type, content)
        .await?;

    let mut headers = HeaderMap::new();
    blobs::locate(
        &mut headers,
        &format!("/v2/{name}/manifests/{}", pushed.digest),
    );
    blobs::name_digest(&mut headers, &pushed.digest);
    if let Some(subject) = pushed.subject {
        blobs::insert(&mut headers, "oci-subject", &subject.to_string());
    }
    for tag in tags {
        if let Ok(tag) = HeaderValue::from_str(tag.as_str()) {
            headers.append("oci-tag", tag);
        }
    }
    Ok((StatusCode::CREATED, headers).into_response())
}

/// How a manifest is to be named, and which of its tags the path doesn't name.
struct Target {
    push: PushTarget,
    further: Vec<Tag>,
}

/// A manifest is named by the path, and further by the query: tags for one
/// pushed by its digest, a digest for one pushed by a tag.
fn target(call: &Call, reference: Reference) -> Result<Target, OciError> {
    let query = call.query()?;
    let mut target = match reference {
        Reference::Tag(tag) => PushTarget {
            digest: None,
            tags: vec![tag],
        },
        Reference::Digest(digest) => PushTarget {
            digest: Some(digest),
            tags: Vec::new(),
        },
    };
    if let Some(text) = query.get("digest") {
        let digest = route::digest(text)?;
        if target.digest.is_some_and(|other| other != digest) {
            let message = "the path and the query name different digests".to_owned();
            return Err(OciError::new(
                StatusCode::BAD_REQUEST,
                ErrorCode::DigestInvalid,
                message,
            ));
        }
        target.digest = Some(digest);
    }
    let mut further = Vec::new();
    for text in query.all("tag") {
        let tag: Tag = text.parse().map_err(|error: landfall_oci::InvalidTag| {
            OciError::new(
                StatusCode::BAD_REQUEST,
                ErrorCode::ManifestInvalid,
                error.to_string(),
            )
        })?;
        further.push(tag);
    }
    target.tags.extend(further.iter().cloned());
    Ok(Target {
        push: target,
        further,
    })
}

/// The whole body, if it is no longer than the limit.
async fn read(body: Body, limit: u64) -> Result<Bytes, OciError> {
    match Limited::new(body, limit as usize).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Error::ManifestTooLarge { limit }.into())
        }
        Err(error) => Err(Error::BodyBroken(error.to_string()).into()),
    }
}

pub(super) async fn delete(
    call: Call,
    name: RepositoryName,
    reference: Reference,
) -> Result<Response, OciError> {
    call.allow_reference(Action::Delete, &name, &reference)
        .await?;
    match reference {
        Reference::Tag(tag) => call.registry().tag_delete(&name, &tag).await?,
        Reference::Digest(digest) => {
            // Its tags go with it: each is one that is deleted.
            for tag in call.server.registry.image_tags(&name, &digest).await? {
                let resource = Resource::Repository(&name);
                call.allow_on(Action::Delete, resource, Some(tag.as_str()))
                    .await?;
            }
            call.registry().manifest_delete(&name, &digest).await?;
        }
    }
    Ok(StatusCode::ACCEPTED.into_response())
}
