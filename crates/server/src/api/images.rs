//! `/api/v1/repositories/{name}/images`.

use axum::Json;
use landfall_identity::Action;
use landfall_oci::{Descriptor, Reference};
use landfall_registry::{HistoryEntry, Image, ImageNode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    caller::{Call, Segments, reference, repository},
    paging::{Listing, Paging, Parameters},
    problem::Problem,
};

/// A manifest with what a person wants to know of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ImageBody {
    /// Its digest.
    digest: String,
    /// Its media type.
    media_type: String,
    /// Its artifact type, or the media type of its configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    /// The manifest that it refers to.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// When it was pushed first, in RFC 3339.
    created: String,
    /// The tags that point at it, in order.
    tags: Vec<String>,
    /// The bytes of the manifest and of the blobs that it needs itself.
    size: u64,
}

/// Something that a manifest names.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DescriptorBody {
    /// Its media type.
    media_type: String,
    /// Its digest.
    digest: String,
    /// Its bytes.
    size: u64,
}

/// An image with what hangs on it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(no_recursion)]
pub(super) struct ImageTreeBody {
    #[serde(flatten)]
    image: ImageBody,
    /// What it runs on, where an index says so: `linux/amd64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    /// Its configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<DescriptorBody>,
    /// Its layers, lowest first, or the files of an artifact.
    layers: Vec<DescriptorBody>,
    /// The images of an index.
    children: Vec<Self>,
    /// The manifests that refer to it.
    referrers: Vec<Self>,
}

/// One step of how an image was built.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HistoryBody {
    /// When, in RFC 3339.
    created: Option<String>,
    /// The command.
    created_by: Option<String>,
    /// A note.
    comment: Option<String>,
    /// The layer that the step made; absent if it made none.
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<DescriptorBody>,
}

/// What a deletion took away.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Deleted {
    /// The manifests that went; none if only a tag did.
    manifests: Vec<String>,
}

impl From<Image> for ImageBody {
    fn from(image: Image) -> Self {
        Self {
            digest: image.digest.to_string(),
            media_type: image.media_type.to_string(),
            artifact_type: image.artifact_type,
            subject: image.subject.map(|subject| subject.to_string()),
            created: image.created.to_string(),
            tags: image.tags.iter().map(ToString::to_string).collect(),
            size: image.size,
        }
    }
}

impl From<Descriptor> for DescriptorBody {
    fn from(descriptor: Descriptor) -> Self {
        Self {
            media_type: descriptor.media_type.to_string(),
            digest: descriptor.digest.to_string(),
            size: descriptor.size,
        }
    }
}

impl From<ImageNode> for ImageTreeBody {
    fn from(node: ImageNode) -> Self {
        Self {
            image: node.image.into(),
            platform: node.platform.map(|platform| platform.to_string()),
            config: node.config.map(DescriptorBody::from),
            layers: node.layers.into_iter().map(DescriptorBody::from).collect(),
            children: node.children.into_iter().map(Self::from).collect(),
            referrers: node.referrers.into_iter().map(Self::from).collect(),
        }
    }
}

impl From<HistoryEntry> for HistoryBody {
    fn from(entry: HistoryEntry) -> Self {
        Self {
            created: entry.created,
            created_by: entry.created_by,
            comment: entry.comment,
            layer: entry.layer.map(DescriptorBody::from),
        }
    }
}

/// Lists the images of a repository, in the order of their digests.
#[utoipa::path(get, path = "/repositories/{name}/images", operation_id = "image_list",
    tag = "images",
    params(("name" = String, Path, description = "The whole name, percent-encoded"), Paging),
    responses((status = 200, body = Listing<ImageBody>),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    call: Call,
    Segments(name): Segments<String>,
    Parameters(paging): Parameters<Paging>,
) -> Result<Json<Listing<ImageBody>>, Problem> {
    let name = repository(&name)?;
    call.allow(Action::Pull, &name).await?;
    let last = paging.last.as_deref();
    let page = call
        .server
        .registry
        .image_list(&name, last, paging.limit())
        .await?;
    Ok(Json(Listing::of(page, |image: &Image| {
        image.digest.to_string()
    })))
}

/// An image, the images of its index, and what refers to them.
#[utoipa::path(get, path = "/repositories/{name}/images/{reference}", operation_id = "image_show",
    tag = "images",
    params(("name" = String, Path, description = "The whole name, percent-encoded"),
           ("reference" = String, Path, description = "A tag or a digest")),
    responses((status = 200, body = ImageTreeBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(
    call: Call,
    Segments((name, image)): Segments<(String, String)>,
) -> Result<Json<ImageTreeBody>, Problem> {
    let (name, image) = (repository(&name)?, reference(&image)?);
    call.allow_reference(Action::Pull, &name, &image).await?;
    Ok(Json(
        call.server.registry.image_tree(&name, &image).await?.into(),
    ))
}

/// How to delete an image.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Deletion {
    /// Whether its blobs may go with the next run of the collector, and not
    /// after the undo window.
    #[serde(default)]
    purge: bool,
}

/// Deletes an image. A tag takes its manifest along when nothing else holds
/// that one, and an index the images that only it held.
#[utoipa::path(delete, path = "/repositories/{name}/images/{reference}",
    operation_id = "image_delete",
    tag = "images",
    params(("name" = String, Path, description = "The whole name, percent-encoded"),
           ("reference" = String, Path, description = "A tag or a digest"), Deletion),
    responses((status = 200, body = Deleted),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete(
    call: Call,
    Segments((name, image)): Segments<(String, String)>,
    Parameters(deletion): Parameters<Deletion>,
) -> Result<Json<Deleted>, Problem> {
    let (name, image) = (repository(&name)?, reference(&image)?);
    call.allow_reference(Action::Delete, &name, &image).await?;
    if let Reference::Digest(digest) = &image {
        // Its tags go with it: each is one that is deleted.
        for tag in call.server.registry.image_tags(&name, digest).await? {
            call.allow_tag(Action::Delete, &name, &tag).await?;
        }
    }
    let gone = call
        .registry()
        .image_delete(&name, &image, deletion.purge)
        .await?;
    Ok(Json(Deleted {
        manifests: gone.iter().map(ToString::to_string).collect(),
    }))
}

/// What a restoration brought back.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RestoredBody {
    /// The digests of the images.
    manifests: Vec<String>,
    /// The tags; those that were set again meanwhile are not among them.
    tags: Vec<String>,
}

/// Brings back a deleted image, inside the undo window, with all that the same
/// deletion took along: the images of an index, and tags that were not set
/// again meanwhile.
#[utoipa::path(post, path = "/repositories/{name}/images/{reference}/restore",
    operation_id = "image_restore",
    tag = "images",
    params(("name" = String, Path, description = "The whole name, percent-encoded"),
           ("reference" = String, Path, description = "The digest")),
    responses((status = 200, body = RestoredBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn restore(
    call: Call,
    Segments((name, image)): Segments<(String, String)>,
) -> Result<Json<RestoredBody>, Problem> {
    let (name, image) = (repository(&name)?, reference(&image)?);
    call.allow(Action::Push, &name).await?;
    let Reference::Digest(digest) = image else {
        let detail = "a deleted image has no tags; name it by its digest, or undo the deletion \
                      of the tag";
        return Err(Problem::invalid(&detail));
    };
    // Each of its tags is one that is pushed.
    for tag in call
        .server
        .registry
        .image_tags_taken(&name, &digest)
        .await?
    {
        call.allow_tag(Action::Push, &name, &tag).await?;
    }
    let restored = call.registry().image_restore(&name, &digest).await?;
    Ok(Json(RestoredBody {
        manifests: restored.manifests.iter().map(ToString::to_string).collect(),
        tags: restored.tags.iter().map(ToString::to_string).collect(),
    }))
}

/// Of which platform.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct OfPlatform {
    /// The image of an index: `linux/arm64`. The first one if it is not said.
    platform: Option<String>,
}

/// How an image was built, as its configuration tells it.
#[utoipa::path(get, path = "/repositories/{name}/images/{reference}/history",
    operation_id = "image_history",
    tag = "images",
    params(("name" = String, Path, description = "The whole name, percent-encoded"),
           ("reference" = String, Path, description = "A tag or a digest"), OfPlatform),
    responses((status = 200, body = Listing<HistoryBody>),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn history(
    call: Call,
    Segments((name, image)): Segments<(String, String)>,
    Parameters(of): Parameters<OfPlatform>,
) -> Result<Json<Listing<HistoryBody>>, Problem> {
    let (name, image) = (repository(&name)?, reference(&image)?);
    call.allow_reference(Action::Pull, &name, &image).await?;
    let platform = of.platform.as_deref();
    let history = call
        .server
        .registry
        .image_history(&name, &image, platform)
        .await?;
    Ok(Json(Listing::whole(
        history.into_iter().map(HistoryBody::from).collect(),
    )))
}
