//! `/api/v1/store`: the operator's figures.

use axum::Json;
use landfall_ids::StoreId;
use serde::Serialize;
use utoipa::ToSchema;

use super::{caller::Call, problem::Problem};

/// What the whole store holds.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StoreBody {
    /// The identity that the metadata and the bytes carry.
    #[schema(value_type = String)]
    id: StoreId,
    /// Blobs, each stored once.
    blobs: u64,
    /// Their bytes.
    bytes: u64,
    /// Blobs whose bytes are gone or wrong.
    damaged: u64,
    /// Objects that wait for their deletion.
    trash: u64,
    /// Their bytes.
    trash_bytes: u64,
}

/// What the whole store holds, whoever may see it.
#[utoipa::path(get, path = "/store", operation_id = "store_show",
    tag = "operation",
    responses((status = 200, body = StoreBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(call: Call) -> Result<Json<StoreBody>, Problem> {
    call.allow_operation().await?;
    let totals = call.server.registry.store_totals().await?;
    Ok(Json(StoreBody {
        id: call.server.registry.store_id(),
        blobs: totals.blobs,
        bytes: totals.bytes,
        damaged: totals.damaged,
        trash: totals.trash,
        trash_bytes: totals.trash_bytes,
    }))
}
