//! `/v2/<name>/tags/list` (specification: "Listing Tags").

use axum::{
    Json,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use landfall_identity::Action;
use landfall_oci::{RepositoryName, Tag};
use serde::Serialize;

use super::{Call, OciError, blobs, catalog::percent_encode};

/// Tags of one page, at the most.
const PAGE: usize = 10_000;

#[derive(Serialize)]
struct Tags {
    name: RepositoryName,
    tags: Vec<Tag>,
}

pub(super) async fn list(call: Call, name: RepositoryName) -> Result<Response, OciError> {
    call.allow(Action::Pull, &name).await?;
    let query = call.query()?;
    let size = query.page_size(PAGE)?;
    let page = call
        .server
        .registry
        .tag_list(&name, query.get("last"), size)
        .await?;
    let mut headers = HeaderMap::new();
    if let Some(last) = page.entries.last().filter(|_| page.more) {
        let last = percent_encode(last.as_str());
        let next = format!("</v2/{name}/tags/list?n={size}&last={last}>; rel=\"next\"");
        blobs::insert(&mut headers, "link", &next);
    }
    Ok((
        headers,
        Json(Tags {
            name,
            tags: page.entries,
        }),
    )
        .into_response())
}
