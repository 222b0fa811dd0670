//! `/api/v1/repositories`.

use axum::{Json, http::StatusCode};
use landfall_identity::Action;
use landfall_ids::{AccountId, RepositoryId};
use landfall_registry::{Repository, RepositorySummary};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    caller::{Call, Segments, repository},
    paging::{Content, Listing, Paging, Parameters},
    problem::Problem,
};

/// A repository.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RepositoryBody {
    /// Its identity.
    #[schema(value_type = String)]
    id: RepositoryId,
    /// The account that it belongs to.
    #[schema(value_type = String)]
    account: AccountId,
    /// Its whole name: `acme/web`.
    name: String,
    /// When it was made, in RFC 3339.
    created: String,
}

/// A repository and what it holds.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RepositorySummaryBody {
    #[serde(flatten)]
    repository: RepositoryBody,
    /// Tags.
    tags: u64,
    /// Manifests, with and without tags.
    manifests: u64,
    /// Blobs that it may see.
    blobs: u64,
    /// Their bytes, each blob counted once.
    bytes: u64,
}

/// A repository to be made.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct NewRepository {
    /// Its whole name: `acme/web`.
    name: String,
}

impl From<Repository> for RepositoryBody {
    fn from(repository: Repository) -> Self {
        Self {
            id: repository.id,
            account: repository.account,
            name: repository.name.to_string(),
            created: repository.created.to_string(),
        }
    }
}

impl From<RepositorySummary> for RepositorySummaryBody {
    fn from(summary: RepositorySummary) -> Self {
        Self {
            repository: summary.repository.into(),
            tags: summary.tags,
            manifests: summary.manifests,
            blobs: summary.blobs,
            bytes: summary.bytes,
        }
    }
}

/// Lists repositories, in the order of their names.
#[utoipa::path(get, path = "/repositories", operation_id = "repository_list",
    tag = "repositories", params(Paging),
    responses((status = 200, body = Listing<RepositorySummaryBody>),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    call: Call,
    Parameters(paging): Parameters<Paging>,
) -> Result<Json<Listing<RepositorySummaryBody>>, Problem> {
    call.allow_operation()?;
    let last = paging.last.as_deref();
    let page = call
        .server
        .registry
        .repository_list(last, paging.limit())
        .await?;
    Ok(Json(Listing::of(page, |summary| {
        summary.repository.name.to_string()
    })))
}

/// Makes an empty repository. A push makes one too.
#[utoipa::path(post, path = "/repositories", operation_id = "repository_create",
    tag = "repositories",
    request_body = NewRepository,
    responses((status = 201, body = RepositoryBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn create(
    call: Call,
    content: Content,
) -> Result<(StatusCode, Json<RepositoryBody>), Problem> {
    call.is_somebody()?;
    let new: NewRepository = content.read().await?;
    let name = repository(&new.name)?;
    call.allow(Action::Push, &name)?;
    let account = call.account(&name).await?;
    let made = call
        .server
        .registry
        .repository_create(&name, account)
        .await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

/// A repository and what it holds.
#[utoipa::path(get, path = "/repositories/{name}", operation_id = "repository_show",
    tag = "repositories",
    params(("name" = String, Path, description = "The whole name, percent-encoded")),
    responses((status = 200, body = RepositorySummaryBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(
    call: Call,
    Segments(name): Segments<String>,
) -> Result<Json<RepositorySummaryBody>, Problem> {
    let name = repository(&name)?;
    call.allow(Action::Pull, &name)?;
    Ok(Json(
        call.server.registry.repository_show(&name).await?.into(),
    ))
}

/// Deletes a repository with everything in it.
#[utoipa::path(delete, path = "/repositories/{name}", operation_id = "repository_delete",
    tag = "repositories",
    params(("name" = String, Path, description = "The whole name, percent-encoded")),
    responses((status = 204),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete(
    call: Call,
    Segments(name): Segments<String>,
) -> Result<StatusCode, Problem> {
    let name = repository(&name)?;
    call.allow(Action::Delete, &name)?;
    call.server.registry.repository_delete(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}
