//! `/api/v1/repositories`.

use axum::{Json, http::StatusCode};
use landfall_identity::Action;
use landfall_ids::{AccountId, RepositoryId};
use landfall_registry::{Repository, RepositorySummary, TagPattern, TagRules};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    caller::{Call, Segments, repository},
    paging::{Content, Listing, Paging, Parameters},
    problem::Problem,
};
use crate::{auth::Rejection, lists};

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
    /// Which of its tags may move.
    tag_rules: TagRulesBody,
}

/// Which tags may be moved and deleted.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct TagRulesBody {
    /// Whether tags stay where they were set first.
    immutable: bool,
    /// Patterns of the tags for which the opposite holds, with `*` for any
    /// characters: `dev-*`.
    #[serde(default)]
    except: Vec<String>,
}

/// What was pulled from a repository, a few seconds ago.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UsageBody {
    /// Answers that gave a manifest.
    pulls: u64,
    /// Bytes of manifests and blobs that were sent.
    bytes_sent: u64,
    /// When a manifest was given last, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_pull: Option<String>,
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
    /// What was pulled.
    usage: UsageBody,
}

/// A change of a repository.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct RepositoryChange {
    /// Which of its tags may move.
    tag_rules: TagRulesBody,
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
            tag_rules: TagRulesBody {
                immutable: repository.rules.is_immutable(),
                except: repository
                    .rules
                    .exceptions()
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
            },
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
            usage: UsageBody {
                pulls: summary.usage.pulls,
                bytes_sent: summary.usage.bytes,
                last_pull: summary.usage.last_pull.map(|last| last.to_string()),
            },
        }
    }
}

/// Lists the repositories that the caller may read, in the order of their names.
/// A page may hold few of them, or none, and have a next one.
#[utoipa::path(get, path = "/repositories", operation_id = "repository_list",
    tag = "repositories", params(Paging),
    responses((status = 200, body = Listing<RepositorySummaryBody>),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    call: Call,
    Parameters(paging): Parameters<Paging>,
) -> Result<Json<Listing<RepositorySummaryBody>>, Problem> {
    call.allow_listing().await?;
    let limit = paging.limit();
    let found = lists::readable(&call.server, &call.caller, paging.last, limit).await;
    let page = found.map_err(|error| match error {
        lists::Error::Registry(error) => Problem::from(error),
        lists::Error::Identity(error) => Rejection::from(error).told().into(),
        lists::Error::Cursor => Problem::invalid(&lists::NO_CURSOR),
    })?;
    let registry = &call.server.registry;
    let summaries = registry.repository_summaries(page.names).await?;
    let summaries = summaries.into_iter().map(RepositorySummaryBody::from);
    Ok(Json(Listing::part(summaries.collect(), page.next)))
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
    call.allow(Action::CreateRepository, &name).await?;
    let account = call.account(&name).await?;
    let made = call.registry().repository_create(&name, account).await?;
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
    call.allow(Action::Pull, &name).await?;
    Ok(Json(
        call.server.registry.repository_show(&name).await?.into(),
    ))
}

/// Changes a repository: which of its tags may be moved and deleted. When this
/// is answered, the new rules hold for every push.
#[utoipa::path(patch, path = "/repositories/{name}", operation_id = "repository_update",
    tag = "repositories",
    params(("name" = String, Path, description = "The whole name, percent-encoded")),
    request_body = RepositoryChange,
    responses((status = 200, body = RepositorySummaryBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn update(
    call: Call,
    Segments(name): Segments<String>,
    content: Content,
) -> Result<Json<RepositorySummaryBody>, Problem> {
    let name = repository(&name)?;
    call.allow(Action::ConfigureRepository, &name).await?;
    let change: RepositoryChange = content.read().await?;
    let patterns = change.tag_rules.except.iter().map(|text| text.parse());
    let rules = patterns
        .collect::<Result<Vec<TagPattern>, _>>()
        .and_then(|patterns| TagRules::new(change.tag_rules.immutable, patterns))
        .map_err(|error| Problem::invalid(&error))?;
    let changed = call.registry().repository_set_rules(&name, rules).await?;
    Ok(Json(changed.into()))
}

/// How to delete a repository.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Deletion {
    /// Whether everything in it may go with the next run of the collector, and
    /// not after the undo window.
    #[serde(default)]
    purge: bool,
}

/// Deletes a repository with everything in it.
#[utoipa::path(delete, path = "/repositories/{name}", operation_id = "repository_delete",
    tag = "repositories",
    params(("name" = String, Path, description = "The whole name, percent-encoded"), Deletion),
    responses((status = 204),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete(
    call: Call,
    Segments(name): Segments<String>,
    Parameters(deletion): Parameters<Deletion>,
) -> Result<StatusCode, Problem> {
    let name = repository(&name)?;
    call.allow(Action::ConfigureRepository, &name).await?;
    call.registry()
        .repository_delete(&name, deletion.purge)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Brings back the repository of this name that was deleted last, inside the
/// undo window, with everything in it.
#[utoipa::path(post, path = "/repositories/{name}/restore", operation_id = "repository_restore",
    tag = "repositories",
    params(("name" = String, Path, description = "The whole name, percent-encoded")),
    responses((status = 200, body = RepositoryBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn restore(
    call: Call,
    Segments(name): Segments<String>,
) -> Result<Json<RepositoryBody>, Problem> {
    let name = repository(&name)?;
    call.allow(Action::ConfigureRepository, &name).await?;
    let restored = call.registry().repository_restore(&name).await?;
    Ok(Json(restored.into()))
}
