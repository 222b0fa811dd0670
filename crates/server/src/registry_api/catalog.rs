//! `/v2/_catalog`: the repositories that the caller may read.

use axum::{
    Json,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use landfall_identity::{Action, Resource};
use landfall_oci::{ErrorCode, RepositoryName};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::{Call, OciError, blobs};
use crate::{auth::Rejection, lists};

/// Names of one page, at the most.
const PAGE: usize = 1000;

#[derive(Serialize)]
struct Catalog {
    repositories: Vec<RepositoryName>,
}

pub(super) async fn list(call: Call) -> Result<Response, OciError> {
    call.allow_on(Action::ListCatalog, Resource::Registry, None)
        .await?;
    let query = call.query()?;
    let size = query.page_size(PAGE)?;
    let last = query.get("last").map(str::to_owned);
    let found = lists::readable(&call.server, &call.caller, last, size).await;
    let page = found.map_err(|error| match error {
        lists::Error::Registry(error) => OciError::from(error),
        lists::Error::Identity(error) => Rejection::from(error).told().into(),
        lists::Error::Cursor => {
            let message = lists::NO_CURSOR.to_owned();
            OciError::new(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, message)
        }
    })?;
    let mut headers = HeaderMap::new();
    if let Some(last) = page.next {
        let last = percent_encode(&last);
        let next = format!("</v2/_catalog?n={size}&last={last}>; rel=\"next\"");
        blobs::insert(&mut headers, "link", &next);
    }
    let repositories = page.names;
    Ok((headers, Json(Catalog { repositories })).into_response())
}

/// What may stand in a query as it is (RFC 3986, "unreserved").
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

pub(super) fn percent_encode(text: &str) -> String {
    utf8_percent_encode(text, QUERY).to_string()
}
