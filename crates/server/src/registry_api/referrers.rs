//! `/v2/<name>/referrers/<digest>` (specification: "Listing Referrers").

use axum::{
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use landfall_identity::Action;
use landfall_oci::{Descriptor, Digest, Manifest, MediaType, RepositoryName};
use landfall_registry::Referrer;

use super::{Call, OciError, blobs, catalog::percent_encode};

/// Referrers of one page, at the most.
const PAGE: usize = 1000;

pub(super) async fn list(
    call: Call,
    name: RepositoryName,
    subject: Digest,
) -> Result<Response, OciError> {
    call.allow(Action::Pull, &name).await?;
    let query = call.query()?;
    let size = query.page_size(PAGE)?.max(1);
    let kind = query.get("artifactType");
    let last = query.get("last");
    let page = call
        .server
        .registry
        .referrer_list(&name, &subject, kind, last, size)
        .await?;
    let mut headers = HeaderMap::new();
    blobs::insert(&mut headers, "content-type", MediaType::OCI_INDEX.as_str());
    if kind.is_some() {
        blobs::insert(&mut headers, "oci-filters-applied", "artifactType");
    }
    if let Some(last) = page.entries.last().filter(|_| page.more) {
        let last = percent_encode(&last.digest.to_string());
        let kind = kind.map(|kind| format!("&artifactType={}", percent_encode(kind)));
        let kind = kind.unwrap_or_default();
        let next =
            format!("</v2/{name}/referrers/{subject}?n={size}&last={last}{kind}>; rel=\"next\"");
        blobs::insert(&mut headers, "link", &next);
    }
    let index = Manifest::index(page.entries.into_iter().map(descriptor).collect());
    let body = serde_json::to_vec(&index).unwrap_or_default();
    Ok((headers, body).into_response())
}

fn descriptor(referrer: Referrer) -> Descriptor {
    Descriptor {
        artifact_type: referrer.artifact_type.and_then(|text| text.parse().ok()),
        annotations: referrer.annotations,
        ..Descriptor::new(referrer.media_type, referrer.digest, referrer.size)
    }
}
