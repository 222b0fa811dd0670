//! `/v2/_catalog`: the repositories that the caller may read.

use axum::{
    Json,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use landfall_identity::{Action, Caller, Resource, ScopeLimit};
use landfall_oci::RepositoryName;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::{Call, OciError, blobs};

/// Names of one page, at the most.
const PAGE: usize = 1000;

#[derive(Serialize)]
struct Catalog {
    repositories: Vec<RepositoryName>,
}

pub(super) async fn list(call: Call) -> Result<Response, OciError> {
    call.allow_on(Action::Pull, Resource::Registry)?;
    let query = call.query()?;
    let size = query.page_size(PAGE)?;
    // The scope of a token has let the caller list; what is in the list is a
    // matter of its rights.
    let reader = Caller {
        principal: call.caller.principal.clone(),
        scope: ScopeLimit::Whole,
    };
    let may_read = |name: &RepositoryName| {
        let resource = Resource::Repository(name);
        call.server
            .identity
            .authorize(&reader, Action::Pull, resource)
            .is_ok()
    };
    let mut names: Vec<RepositoryName> = Vec::new();
    let mut last = query.get("last").map(str::to_owned);
    let mut more = size > 0;
    while more && names.len() <= size {
        let page = call
            .server
            .registry
            .repository_names(last.as_deref(), PAGE)
            .await?;
        more = page.more;
        last = page.entries.last().map(|name| name.as_str().to_owned());
        names.extend(page.entries.into_iter().filter(&may_read));
    }
    let more = more || names.len() > size;
    names.truncate(size);
    let mut headers = HeaderMap::new();
    if let Some(last) = names.last().filter(|_| more) {
        let last = percent_encode(last.as_str());
        let next = format!("</v2/_catalog?n={size}&last={last}>; rel=\"next\"");
        blobs::insert(&mut headers, "link", &next);
    }
    Ok((
        headers,
        Json(Catalog {
            repositories: names,
        }),
    )
        .into_response())
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
