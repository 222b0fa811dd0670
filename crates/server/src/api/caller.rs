//! The caller of a request, as handlers take it.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use landfall_identity::{Action, Caller, Refusal, Resource};
use landfall_ids::AccountId;
use landfall_oci::{Reference, RepositoryName};
use landfall_registry::Registry;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::{
    Server,
    auth::{self, Rejection},
    registry_api::holds_nul,
};

/// Who calls, with the services to call. Extracting it checks credentials; a
/// handler asks for the right.
pub(super) struct Call {
    pub(super) server: Arc<Server>,
    pub(super) caller: Caller,
    base_url: String,
}

impl FromRequestParts<Arc<Server>> for Call {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, Problem> {
        let server = Arc::clone(server);
        let base_url = auth::base_url(&server, parts);
        match auth::caller(&server.identity, &parts.headers).await {
            Ok(caller) => Ok(Self {
                server,
                caller,
                base_url,
            }),
            Err(rejection) => {
                let challenge = auth::challenge(&server, &base_url, None, &rejection);
                Err(Problem::rejected(&rejection, challenge))
            }
        }
    }
}

impl Call {
    /// Asks whether the caller may do this to the repository.
    pub(super) fn allow(&self, action: Action, name: &RepositoryName) -> Result<(), Problem> {
        self.allow_on(action, Resource::Repository(name))
    }

    /// Asks whether the caller operates the registry.
    pub(super) fn allow_operation(&self) -> Result<(), Problem> {
        self.allow_on(Action::Administer, Resource::Registry)
    }

    /// Asks whether the caller has said who it is, where what it may do can't
    /// be asked yet.
    pub(super) fn is_somebody(&self) -> Result<(), Problem> {
        match self.caller.principal {
            Some(_) => Ok(()),
            None => Err(self.rejected(None, &Rejection::Refused(Refusal::Unauthenticated))),
        }
    }

    fn allow_on(&self, action: Action, resource: Resource<'_>) -> Result<(), Problem> {
        auth::authorize(&self.server, &self.caller, action, resource).map_err(|rejection| {
            let scope = auth::scope_for(action, resource);
            self.rejected(Some(&scope), &rejection)
        })
    }

    fn rejected(&self, scope: Option<&str>, rejection: &Rejection) -> Problem {
        let challenge = auth::challenge(&self.server, &self.base_url, scope, rejection);
        Problem::rejected(rejection, challenge)
    }

    /// The registry, acting for the caller: what is done has its name.
    pub(super) fn registry(&self) -> Registry {
        match &self.caller.principal {
            Some(principal) => self.server.registry.acting_as(&principal.name),
            None => Registry::clone(&self.server.registry),
        }
    }

    /// The account that owns the repository, made if it is not there. The
    /// caller may push, or it would not come here.
    pub(super) async fn account(&self, name: &RepositoryName) -> Result<AccountId, Problem> {
        let account = self.server.identity.account_ensure(name).await;
        account.map_err(|error| match error {
            landfall_identity::Error::Database(error) => {
                landfall_registry::Error::Database(error).into()
            }
            error => Problem::rejected(&auth::Rejection::Failed(error), None),
        })
    }

    /// The account of that name.
    pub(super) async fn account_named(&self, name: &str) -> Result<AccountId, Problem> {
        match self.server.identity.account_find(name).await {
            Ok(Some(account)) => Ok(account),
            Ok(None) => Err(Problem::not_found(format!(
                "no account `{name}`; the first push to it makes one"
            ))),
            Err(error) => Err(Problem::rejected(&auth::Rejection::Failed(error), None)),
        }
    }

    pub(super) fn may_pull(&self, name: &RepositoryName) -> bool {
        let resource = Resource::Repository(name);
        self.server
            .identity
            .authorize(&self.caller, Action::Pull, resource)
            .is_ok()
    }
}

/// The segments of a path, decoded; a wrong one is a problem like any other.
pub(super) struct Segments<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<Server>> for Segments<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, Problem> {
        if holds_nul(parts.uri.path()) {
            return Err(Problem::invalid(&"the path holds a NUL; leave it out"));
        }
        match Path::<T>::from_request_parts(parts, server).await {
            Ok(Path(segments)) => Ok(Self(segments)),
            Err(error) => Err(Problem::invalid(&error.body_text())),
        }
    }
}

/// A repository name from a path segment.
pub(super) fn repository(text: &str) -> Result<RepositoryName, Problem> {
    text.parse()
        .map_err(|error: landfall_oci::InvalidName| Problem::invalid(&error))
}

/// A tag or digest from a path segment.
pub(super) fn reference(text: &str) -> Result<Reference, Problem> {
    text.parse()
        .map_err(|error: landfall_oci::InvalidReference| Problem::invalid(&error))
}
