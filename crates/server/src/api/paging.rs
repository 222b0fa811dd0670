//! Pages of a listing.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Query, Request},
    http::request::Parts,
};
use landfall_registry::Page;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;
use crate::{Server, registry_api::holds_nul};

/// Entries of a page, at the most.
const MOST: usize = 1000;
/// Entries of a page, where the request does not say.
const USUAL: usize = 100;

/// Which page is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Paging {
    /// The `next` of the page before.
    pub(super) last: Option<String>,
    /// Entries of the page, 1 to 1000; 100 if it is not said.
    limit: Option<usize>,
}

impl Paging {
    pub(super) fn of(last: Option<String>, limit: Option<usize>) -> Self {
        Self { last, limit }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.unwrap_or(USUAL).clamp(1, MOST)
    }
}

/// One page of a listing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Listing<T> {
    /// The entries, in order.
    items: Vec<T>,
    /// The `last` of the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl<T> Listing<T> {
    /// A listing of a page; `key` is what the next page starts behind.
    pub(super) fn of<D>(page: Page<D>, key: impl Fn(&D) -> String) -> Self
    where
        T: From<D>,
    {
        let next = page.entries.last().filter(|_| page.more).map(key);
        Self {
            items: page.entries.into_iter().map(T::from).collect(),
            next,
        }
    }

    /// As [`Listing::of`], of a page of identities.
    pub(super) fn of_identity<D>(
        page: landfall_identity::Page<D>,
        key: impl Fn(&D) -> String,
    ) -> Self
    where
        T: From<D>,
    {
        let page = Page {
            entries: page.entries,
            more: page.more,
        };
        Self::of(page, key)
    }

    /// A part of a listing, and what the next one starts behind.
    pub(super) fn part(items: Vec<T>, next: Option<String>) -> Self {
        Self { items, next }
    }

    /// A listing that is whole.
    pub(super) fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }
}

/// The query string; a wrong one is a problem like any other.
pub(super) struct Parameters<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<Server>> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, Problem> {
        if holds_nul(parts.uri.query().unwrap_or_default()) {
            return Err(Problem::invalid(&"the query holds a NUL; leave it out"));
        }
        match Query::<T>::from_request_parts(parts, server).await {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(error) => Err(Problem::invalid(&error.body_text())),
        }
    }
}

/// A JSON body, which is here whole. A handler looks into it when the caller
/// has been let through: nobody else hears what is wrong with it.
pub(super) struct Content(Request);

impl FromRequest<Arc<Server>> for Content {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &Arc<Server>) -> Result<Self, Infallible> {
        Ok(Self(request))
    }
}

impl Content {
    /// Reads it; a wrong one is a problem like any other.
    pub(super) async fn read<T: DeserializeOwned>(self) -> Result<T, Problem> {
        match Json::<T>::from_request(self.0, &()).await {
            Ok(Json(content)) => Ok(content),
            Err(error) => Err(Problem::new(
                error.status(),
                "invalid-request",
                error.body_text(),
            )),
        }
    }
}
