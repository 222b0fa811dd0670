//! Listings: the repositories of a registry, the tags of a repository.

use std::collections::HashSet;

use landfall_oci::Tag;
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde::Deserialize;
use url::Url;

use super::{
    Registry, answer,
    client::{Ask, Scope},
};
use crate::{Error, Repository};

/// The longest page, in bytes.
const PAGE: u64 = 16 << 20;

#[derive(Deserialize)]
struct Catalog {
    #[serde(default)]
    repositories: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

/// Every repository that the registry tells of.
pub(crate) async fn catalog(registry: &Registry) -> Result<Vec<Repository>, Error> {
    let way_out = "name the repositories in a file with `--from-file`";
    let url = registry.url("v2/_catalog?n=1000")?;
    let names = pages(registry, url, &Scope::catalog(), "its catalog", |page| {
        let catalog: Catalog = serde_json::from_slice(page).ok()?;
        Some(catalog.repositories.unwrap_or_default())
    })
    .await;
    let names = match names {
        Ok(names) => names,
        Err(Error::Denied(why) | Error::Missing(why)) => {
            return Err(Error::Denied(format!("{why}; {way_out}")));
        }
        Err(error) => return Err(error),
    };
    let parsed = names.into_iter().map(|name| {
        name.parse().map_err(|error| {
            Error::Refused(format!(
                "registry `{}` lists a repository that can't be one: {error}",
                registry.name
            ))
        })
    });
    parsed.collect()
}

/// Every tag of a repository.
pub(crate) async fn tags(registry: &Registry, name: &Repository) -> Result<Vec<Tag>, Error> {
    let url = registry.url(&format!("v2/{name}/tags/list?n=1000"))?;
    let what = format!("the tags of `{name}`");
    let tags = pages(registry, url, &Scope::pull(name), &what, |page| {
        let tags: Tags = serde_json::from_slice(page).ok()?;
        Some(tags.tags.unwrap_or_default())
    })
    .await?;
    let parsed = tags.into_iter().map(|tag| {
        tag.parse().map_err(|error| {
            Error::Refused(format!(
                "registry `{}` lists a tag of `{name}` that can't be one: {error}",
                registry.name
            ))
        })
    });
    parsed.collect()
}

/// All names of a listing, page after page, as long as there are new ones.
async fn pages(
    registry: &Registry,
    first: Url,
    scope: &Scope,
    what: &str,
    read: impl Fn(&[u8]) -> Option<Vec<String>>,
) -> Result<Vec<String>, Error> {
    let refused = |why: &str| {
        Err(Error::Refused(format!(
            "registry `{}` lists {what} {why}",
            registry.name
        )))
    };
    let (mut seen, mut names) = (HashSet::new(), Vec::new());
    let mut url = first;
    for _ in 0..registry.limits.pages {
        let ask = Ask {
            method: Method::GET,
            url: url.clone(),
            headers: HeaderMap::new(),
            body: bytes::Bytes::new(),
            scope,
            what,
        };
        let response = registry.send(&ask).await?;
        if response.status() != StatusCode::OK {
            return Err(registry.refusal(&ask, response).await);
        }
        let next = answer::next_page(&response, &url);
        let body = answer::body(&registry.name, what, response, PAGE).await?;
        let Some(page) = read(&body) else {
            return refused("as something that is no list");
        };
        let before = names.len();
        for name in page {
            if seen.insert(name.clone()) {
                names.push(name);
            }
        }
        if names.len() > registry.limits.names {
            return refused("with more names than are taken");
        }
        url = match next {
            None => return Ok(names),
            Some(Err(())) => return refused("with a next page on another host"),
            Some(Ok(_)) if names.len() == before => return refused("in a circle"),
            Some(Ok(next)) => next,
        };
    }
    refused("on more pages than are taken")
}
