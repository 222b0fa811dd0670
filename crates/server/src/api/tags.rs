//! `/api/v1/repositories/{name}/tags`.

use axum::{Json, http::StatusCode};
use landfall_identity::Action;
use landfall_oci::{RepositoryName, Tag};
use landfall_registry::{Page, TagEntry, TagStatus};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    caller::{Call, Segments, reference, repository},
    paging::{Content, Listing, Paging, Parameters},
    problem::Problem,
};

/// A tag and what it points at.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TagBody {
    /// Its name.
    tag: String,
    /// The image that it points at.
    digest: String,
    /// The media type of the image.
    media_type: String,
    /// When the tag was made, in RFC 3339.
    created: String,
    /// When it was moved last, in RFC 3339.
    updated: String,
    /// Whether it can neither be moved nor deleted.
    immutable: bool,
}

/// One entry of a tag's history.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TagEntryBody {
    /// Its place in the history of the tag, from 1.
    number: u64,
    /// `created`, `moved`, `deleted` or `restored`.
    act: &'static str,
    /// The image that the tag pointed at before; absent if the tag was not
    /// there.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// The image that it pointed at afterwards; absent if it was gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    /// Who did it; absent if Landfall did, by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    /// When, in RFC 3339.
    happened: String,
    /// The number of the entry that this one turned back.
    #[serde(skip_serializing_if = "Option::is_none")]
    undoes: Option<u64>,
    /// Whether the tag went with its image, which can be restored.
    with_image: bool,
}

/// A tag that was deleted and can be brought back.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeletedTagBody {
    /// Its name.
    tag: String,
    /// How it was deleted.
    deletion: TagEntryBody,
}

impl From<TagStatus> for TagBody {
    fn from(status: TagStatus) -> Self {
        Self {
            tag: status.tag.to_string(),
            digest: status.digest.to_string(),
            media_type: status.media_type.to_string(),
            created: status.created.to_string(),
            updated: status.updated.to_string(),
            immutable: status.immutable,
        }
    }
}

impl From<TagEntry> for TagEntryBody {
    fn from(entry: TagEntry) -> Self {
        Self {
            number: entry.number,
            act: entry.act.as_str(),
            from: entry.before.map(|digest| digest.to_string()),
            to: entry.after.map(|digest| digest.to_string()),
            actor: entry.actor,
            happened: entry.happened.to_string(),
            undoes: entry.undoes,
            with_image: entry.deletion.is_some(),
        }
    }
}

impl From<(Tag, TagEntry)> for DeletedTagBody {
    fn from((tag, entry): (Tag, TagEntry)) -> Self {
        Self {
            tag: tag.to_string(),
            deletion: entry.into(),
        }
    }
}

/// A tag from a path segment.
fn tag(text: &str) -> Result<Tag, Problem> {
    text.parse()
        .map_err(|error: landfall_oci::InvalidTag| Problem::invalid(&error))
}

/// Name and tag of a path.
fn both((name, of): (String, String)) -> Result<(RepositoryName, Tag), Problem> {
    Ok((repository(&name)?, tag(&of)?))
}

/// Lists the tags of a repository, in the order of their bytes.
#[utoipa::path(get, path = "/repositories/{name}/tags", operation_id = "tag_list",
    tag = "tags",
    params(("name" = String, Path, description = "The whole name, percent-encoded"), Paging),
    responses((status = 200, body = Listing<TagBody>),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    call: Call,
    Segments(name): Segments<String>,
    Parameters(paging): Parameters<Paging>,
) -> Result<Json<Listing<TagBody>>, Problem> {
    let name = repository(&name)?;
    call.allow(Action::Pull, &name).await?;
    let last = paging.last.as_deref();
    let registry = &call.server.registry;
    let page = registry.tag_statuses(&name, last, paging.limit()).await?;
    Ok(Json(Listing::of(page, |status| status.tag.to_string())))
}

/// Lists the tags that were deleted and can be brought back.
#[utoipa::path(get, path = "/repositories/{name}/deleted-tags", operation_id = "tag_list_deleted",
    tag = "tags",
    params(("name" = String, Path, description = "The whole name, percent-encoded"), Paging),
    responses((status = 200, body = Listing<DeletedTagBody>),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list_deleted(
    call: Call,
    Segments(name): Segments<String>,
    Parameters(paging): Parameters<Paging>,
) -> Result<Json<Listing<DeletedTagBody>>, Problem> {
    let name = repository(&name)?;
    call.allow(Action::Pull, &name).await?;
    let last = paging.last.as_deref();
    let registry = &call.server.registry;
    let page = registry.tag_deleted(&name, last, paging.limit()).await?;
    Ok(Json(Listing::of(page, |(tag, _)| tag.to_string())))
}

/// A tag and what it points at.
#[utoipa::path(get, path = "/repositories/{name}/tags/{tag}", operation_id = "tag_show",
    tag = "tags",
    params(("name" = String, Path, description = "The whole name, percent-encoded"),
           ("tag" = String, Path, description = "The tag")),
    responses((status = 200, body = TagBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(
    call: Call,
    Segments(path): Segments<(String, String)>,
) -> Result<Json<TagBody>, Problem> {
    let (name, tag) = both(path)?;
    call.allow_tag(Action::Pull, &name, &tag).await?;
    Ok(Json(
        call.server.registry.tag_show(&name, &tag).await?.into(),
    ))
}

/// Which part of a history.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryPaging {
    /// The `next` of the page before.
    last: Option<u64>,
    /// Entries of the page, 1 to 1000; 100 if it is not said.
    limit: Option<usize>,
}

/// What happened to a tag, the newest first; also to one that is not there any
/// more.
#[utoipa::path(get, path = "/repositories/{name}/tags/{tag}/history", operation_id = "tag_history",
    tag = "tags",
    params(("name" = String, Path, description = "The whole name, percent-encoded"),
           ("tag" = String, Path, description = "The tag"), HistoryPaging),
    responses((status = 200, body = Listing<TagEntryBody>),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn history(
    call: Call,
    Segments(path): Segments<(String, String)>,
    Parameters(paging): Parameters<HistoryPaging>,
) -> Result<Json<Listing<TagEntryBody>>, Problem> {
    let (name, tag) = both(path)?;
    call.allow_tag(Action::Pull, &name, &tag).await?;
    let limit = Paging::of(None, paging.limit).limit();
    let registry = &call.server.registry;
    let page: Page<TagEntry> = registry
        .tag_history(&name, &tag, paging.last, limit)
        .await?;
    Ok(Json(Listing::of(page, |entry| entry.number.to_string())))
}

/// Where a tag shall point.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct TagTarget {
    /// The digest of an image of the repository, or another of its tags.
    image: String,
}

/// Points a tag at an image of the repository, without a push. The tag is made,
/// or moved if the rules of the repository let it.
#[utoipa::path(put, path = "/repositories/{name}/tags/{tag}", operation_id = "tag_create",
    tag = "tags",
    params(("name" = String, Path, description = "The whole name, percent-encoded"),
           ("tag" = String, Path, description = "The tag")),
    request_body = TagTarget,
    responses((status = 200, body = TagBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn create(
    call: Call,
    Segments(path): Segments<(String, String)>,
    content: Content,
) -> Result<Json<TagBody>, Problem> {
    let (name, tag) = both(path)?;
    call.allow_tag(Action::Push, &name, &tag).await?;
    let target: TagTarget = content.read().await?;
    let image = reference(&target.image)?;
    let registry = call.registry();
    registry.tag_create(&name, &tag, &image).await?;
    Ok(Json(registry.tag_show(&name, &tag).await?.into()))
}

/// Takes a tag away. The image stays.
#[utoipa::path(delete, path = "/repositories/{name}/tags/{tag}", operation_id = "tag_delete",
    tag = "tags",
    params(("name" = String, Path, description = "The whole name, percent-encoded"),
           ("tag" = String, Path, description = "The tag")),
    responses((status = 204),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete(
    call: Call,
    Segments(path): Segments<(String, String)>,
) -> Result<StatusCode, Problem> {
    let (name, tag) = both(path)?;
    call.allow_tag(Action::Delete, &name, &tag).await?;
    call.registry().tag_delete(&name, &tag).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What to undo.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Undo {
    /// The number of the newest entry that the caller has seen: if something
    /// else has happened to the tag since, nothing is undone.
    entry: Option<u64>,
}

/// Turns back what happened to a tag last, inside the undo window; the answer
/// is the entry that was turned back. What takes the tag away needs the right
/// to delete as well.
#[utoipa::path(post, path = "/repositories/{name}/tags/{tag}/undo", operation_id = "tag_undo",
    tag = "tags",
    params(("name" = String, Path, description = "The whole name, percent-encoded"),
           ("tag" = String, Path, description = "The tag"), Undo),
    responses((status = 200, body = TagEntryBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn undo(
    call: Call,
    Segments(path): Segments<(String, String)>,
    Parameters(undo): Parameters<Undo>,
) -> Result<Json<TagEntryBody>, Problem> {
    let (name, tag) = both(path)?;
    call.allow_tag(Action::Push, &name, &tag).await?;
    let registry = call.registry();
    let newest = registry.tag_history(&name, &tag, None, 1).await?;
    let newest = newest.entries.first();
    if newest.is_some_and(|entry| entry.before.is_none()) {
        call.allow_tag(Action::Delete, &name, &tag).await?;
    }
    // What was asked about is what is undone.
    let entry = undo.entry.or(newest.map(|entry| entry.number));
    let undone = registry.tag_undo(&name, &tag, entry).await?;
    Ok(Json(undone.into()))
}
