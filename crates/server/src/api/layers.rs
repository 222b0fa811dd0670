//! `/api/v1/repositories/{name}/layers:check`.

use axum::Json;
use landfall_identity::Action;
use landfall_ids::AccountId;
use landfall_oci::{Digest, RepositoryName};
use landfall_registry::LayerState;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    caller::{Call, Segments, repository},
    paging::Content,
    problem::Problem,
};

/// Digests in one request, at the most.
const MOST: usize = 1000;

/// The layers of an image that is about to be pushed.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct LayersToCheck {
    /// Their digests, up to a thousand.
    digests: Vec<String>,
}

/// Where each layer stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CheckedLayers {
    /// In the order asked.
    layers: Vec<CheckedLayer>,
    /// How many must be uploaded.
    new: usize,
}

/// Where a layer stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CheckedLayer {
    /// The layer.
    digest: String,
    /// Its state.
    state: LayerStateBody,
}

/// The states of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum LayerStateBody {
    /// The repository holds it.
    Present,
    /// Another repository of the account held it, and this one does now.
    Mounted,
    /// It must be uploaded.
    New,
}

/// Tells for a whole image which layers must be uploaded. What is not new is
/// kept for the promised time, so that the push can name it.
#[utoipa::path(post, path = "/repositories/{name}/layers:check", operation_id = "layers_check",
    tag = "images",
    params(("name" = String, Path, description = "The whole name, percent-encoded")),
    request_body = LayersToCheck,
    responses((status = 200, body = CheckedLayers),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn check(
    call: Call,
    Segments(name): Segments<String>,
    content: Content,
) -> Result<Json<CheckedLayers>, Problem> {
    let name = repository(&name)?;
    call.allow(Action::Push, &name).await?;
    let asked: LayersToCheck = content.read().await?;
    if asked.digests.len() > MOST {
        let many = asked.digests.len();
        return Err(Problem::invalid(&format!(
            "{many} digests; up to {MOST} are taken at once"
        )));
    }
    let digests: Result<Vec<Digest>, _> = asked.digests.iter().map(|text| text.parse()).collect();
    let digests = digests.map_err(|error| Problem::invalid(&error))?;
    let states = match call.account_found(&name).await? {
        Some(account) => states(&call, &name, account, &digests).await?,
        // Nothing is stored here, so it makes no account.
        None => digests
            .into_iter()
            .map(|digest| (digest, LayerState::New))
            .collect(),
    };
    let layers: Vec<_> = states
        .into_iter()
        .map(|(digest, state)| CheckedLayer {
            digest: digest.to_string(),
            state: match state {
                LayerState::Present => LayerStateBody::Present,
                LayerState::Mounted => LayerStateBody::Mounted,
                LayerState::New => LayerStateBody::New,
            },
        })
        .collect();
    let new = layers
        .iter()
        .filter(|layer| layer.state == LayerStateBody::New)
        .count();
    Ok(Json(CheckedLayers { layers, new }))
}

/// The states of layers, where the repository's account is there.
async fn states(
    call: &Call,
    name: &RepositoryName,
    account: AccountId,
    digests: &[Digest],
) -> Result<Vec<(Digest, LayerState)>, Problem> {
    let registry = call.registry();
    let sources = registry.layer_sources(account, digests).await?;
    let readable = call.readable(sources.repositories()).await?;
    let states = registry.layers_check(name, account, digests, sources, |from| {
        readable.contains(from)
    });
    Ok(states.await?)
}
