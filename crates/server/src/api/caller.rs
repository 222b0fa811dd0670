//! The caller of a request, as handlers take it.

use std::{collections::HashSet, sync::Arc};

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use landfall_identity::{Action, Ask, AuditEvent, Caller, Refusal, Resource};
use landfall_ids::AccountId;
use landfall_oci::{Reference, RepositoryName, Tag};
use landfall_registry::Registry;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::{
    Server,
    auth::{self, Rejection, Rows},
    registry_api::{account_gone, holds_nul},
};

/// Who calls, with the services to call. Extracting it checks credentials; a
/// handler asks for the right.
pub(super) struct Call {
    pub(super) server: Arc<Server>,
    pub(super) caller: Caller,
    base_url: String,
    /// Where decisions are written down, if the request writes.
    rows: Option<Rows>,
}

impl FromRequestParts<Arc<Server>> for Call {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, Problem> {
        let server = Arc::clone(server);
        let base_url = auth::base_url(&server, parts);
        let rows = parts.extensions.get::<Rows>().cloned();
        match auth::caller(&server, parts).await {
            Ok(caller) => Ok(Self {
                server,
                caller,
                base_url,
                rows,
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
    pub(super) async fn allow(&self, action: Action, name: &RepositoryName) -> Result<(), Problem> {
        self.allow_on(action, Resource::Repository(name), None)
            .await
    }

    /// Asks whether the caller may do this to a tag of the repository.
    pub(super) async fn allow_tag(
        &self,
        action: Action,
        name: &RepositoryName,
        tag: &Tag,
    ) -> Result<(), Problem> {
        self.allow_on(action, Resource::Repository(name), Some(tag.as_str()))
            .await
    }

    /// Asks whether the caller may do this to what a tag or a digest names.
    pub(super) async fn allow_reference(
        &self,
        action: Action,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<(), Problem> {
        match reference {
            Reference::Tag(tag) => self.allow_tag(action, name, tag).await,
            Reference::Digest(_) => self.allow(action, name).await,
        }
    }

    /// Asks whether the caller may do this to the account of that name.
    pub(super) async fn allow_account(&self, action: Action, name: &str) -> Result<(), Problem> {
        self.allow_on(action, Resource::Account(name), None).await
    }

    /// Asks whether the caller may list the repositories that it may read.
    pub(super) async fn allow_listing(&self) -> Result<(), Problem> {
        self.allow_on(Action::ListCatalog, Resource::Registry, None)
            .await
    }

    /// Asks whether the caller operates the registry.
    pub(super) async fn allow_operation(&self) -> Result<(), Problem> {
        self.allow_on(Action::Administer, Resource::Registry, None)
            .await
    }

    /// Whether the caller may do this. A refusal is an answer, which is not
    /// written down, and not the end of the request.
    pub(super) async fn may(
        &self,
        action: Action,
        resource: Resource<'_>,
    ) -> Result<bool, Problem> {
        let ask = Ask {
            caller: &self.caller,
            action,
            resource,
            tag: None,
        };
        match auth::authorize(&self.server, &ask, None).await {
            Ok(()) => Ok(true),
            Err(Rejection::Refused(_)) => Ok(false),
            Err(rejection) => Err(self.rejected(None, &rejection)),
        }
    }

    /// Asks whether the caller has said who it is, where what it may do can't
    /// be asked yet.
    pub(super) fn is_somebody(&self) -> Result<(), Problem> {
        match self.caller.principal {
            Some(_) => Ok(()),
            None => Err(self.rejected(None, &Rejection::Refused(Refusal::Unauthenticated))),
        }
    }

    async fn allow_on(
        &self,
        action: Action,
        resource: Resource<'_>,
        tag: Option<&str>,
    ) -> Result<(), Problem> {
        let ask = Ask {
            caller: &self.caller,
            action,
            resource,
            tag,
        };
        let asked = auth::authorize(&self.server, &ask, self.rows.as_ref()).await;
        asked.map_err(|rejection| {
            let scope = auth::scope_for(action, resource);
            self.rejected(Some(&scope), &rejection)
        })
    }

    fn rejected(&self, scope: Option<&str>, rejection: &Rejection) -> Problem {
        let challenge = auth::challenge(&self.server, &self.base_url, scope, rejection);
        Problem::rejected(rejection, challenge)
    }

    /// A refusal that no policy decides, for what the caller wanted to do to
    /// itself. It is written down.
    pub(super) fn refused_oneself(&self, action: &'static str, told: &'static str) -> Problem {
        if let (Some(rows), Some(principal)) = (&self.rows, &self.caller.principal) {
            let event = AuditEvent::new(&self.caller, action, "principal", self.caller.name())
                .account(principal.account_name.as_str())
                .id(principal.id)
                .refused(told);
            rows.begin(&self.server.identity, event);
        }
        Problem::denied(&told)
    }

    /// The registry, acting for the caller: what is done has its name.
    pub(super) fn registry(&self) -> Registry {
        match &self.caller.principal {
            Some(principal) => self.server.registry.acting_as(&principal.login_name()),
            None => Registry::clone(&self.server.registry),
        }
    }

    /// The account that owns the repository, made if it is not there. The
    /// caller may push, or it would not come here.
    pub(super) async fn account(&self, name: &RepositoryName) -> Result<AccountId, Problem> {
        let account = self.server.identity.account_ensure(name, &self.caller);
        account.await.map_err(|error| match error {
            landfall_identity::Error::NotFound { .. } => Problem::not_found(account_gone(name)),
            landfall_identity::Error::Database(error) => {
                landfall_registry::Error::Database(error).into()
            }
            error => Rejection::from(error).told().into(),
        })
    }

    /// The account that owns the repository, or would, if it is there.
    pub(super) async fn account_found(
        &self,
        name: &RepositoryName,
    ) -> Result<Option<AccountId>, Problem> {
        let account = name.account().to_string();
        let found = self.server.identity.account_find(&account).await;
        found.map_err(|error| Rejection::from(error).told().into())
    }

    /// The account of that name.
    pub(super) async fn account_named(&self, name: &str) -> Result<AccountId, Problem> {
        match self.server.identity.account_find(name).await {
            Ok(Some(account)) => Ok(account),
            Ok(None) => Err(Problem::not_found(format!(
                "no account `{name}`; the first push to it makes one"
            ))),
            Err(error) => Err(Rejection::from(error).told().into()),
        }
    }

    /// Those of the repositories that the caller may read, by its token and by
    /// policy.
    pub(super) async fn readable(
        &self,
        mut names: Vec<RepositoryName>,
    ) -> Result<HashSet<RepositoryName>, Problem> {
        let scope = &self.caller.scope;
        names.retain(|name| scope.covers(Action::Pull, Resource::Repository(name)));
        let asked = self.server.identity.readable(&self.caller, &names).await;
        let may = asked.map_err(|error| Problem::from(Rejection::from(error).told()))?;
        let readable = names.into_iter().zip(may);
        Ok(readable
            .filter_map(|(name, may)| may.then_some(name))
            .collect())
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
