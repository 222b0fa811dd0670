//! Rights that go with who one is: what everybody may do with its own
//! credentials, and what only the operator may do in its own account.

use landfall_identity::{Action, CredentialKind, LocalName, OPERATOR_ACCOUNT, ScopeLimit};

use super::{caller::Call, problem::Problem};

/// How a path names the caller itself.
const ONESELF: &str = "~";

impl Call {
    /// A principal from a path segment; `~` is the caller.
    pub(super) fn principal(&self, segment: &str) -> Result<LocalName, Problem> {
        if segment != ONESELF {
            return Ok(segment.parse()?);
        }
        self.is_somebody()?;
        match &self.caller.principal {
            Some(principal) => Ok(LocalName::new(&principal.account_name, &principal.name)?),
            None => Err(Problem::invalid(&"`~` is the caller, and it has no name")),
        }
    }

    /// The account that a listing is about: the named one, or the caller's.
    pub(super) fn account_or_own(&self, named: Option<String>) -> Result<String, Problem> {
        self.is_somebody()?;
        match (named, &self.caller.principal) {
            (Some(name), _) => Ok(name),
            (None, Some(principal)) => Ok(principal.account_name.clone()),
            (None, None) => Err(Problem::invalid(&"`account` has to be named")),
        }
    }

    /// Whether that is the caller, with a credential that stands for all that
    /// it may do. A token for some scopes is not enough for more than those.
    pub(super) fn is_oneself(&self, name: &LocalName) -> bool {
        matches!(self.caller.scope, ScopeLimit::Whole) && self.is_same_principal(name)
    }

    /// Whether that is the caller, with whatever credential. What guards its
    /// own password and keys asks this: a smaller token is no way around.
    pub(super) fn is_same_principal(&self, name: &LocalName) -> bool {
        let principal = self.caller.principal.as_ref();
        principal.is_some_and(|principal| {
            principal.account_name == name.account() && principal.name == name.name()
        })
    }

    /// Asks whether the caller may do this to a principal: it is the caller
    /// itself, or the action is allowed on its account.
    pub(super) async fn allow_oneself_or(
        &self,
        action: Action,
        name: &LocalName,
    ) -> Result<(), Problem> {
        if self.is_oneself(name) {
            return Ok(());
        }
        if action == Action::ReadAccount {
            return self.allow_account(action, name.account()).await;
        }
        self.allow_change(action, name.account()).await
    }

    /// Asks whether the caller may change who may do what in this account.
    ///
    /// Who may do all in the operator's account operates the registry. So
    /// nobody but the operator may give that away: being allowed to manage the
    /// principals or the policies of that account is not enough.
    pub(super) async fn allow_change(&self, action: Action, account: &str) -> Result<(), Problem> {
        if account == OPERATOR_ACCOUNT {
            return self.allow_operation().await;
        }
        self.allow_account(action, account).await
    }

    /// Asks whether a credential that lasts may be made with the one of this
    /// request: a token ends after hours, and so does what it is good for.
    /// `action` is what it is called in the audit log.
    pub(super) fn allow_own_credential(&self, action: &'static str) -> Result<(), Problem> {
        match self.caller.credential.kind {
            CredentialKind::Password | CredentialKind::ApiKey => Ok(()),
            _ => Err(self.refused_oneself(
                action,
                "a token is not enough to make a credential that lasts longer; send the password \
                 or an API key",
            )),
        }
    }

    /// Asks whether the caller has proved that it knows its own password.
    pub(super) fn allow_own_password(&self) -> Result<(), Problem> {
        match self.caller.credential.kind {
            CredentialKind::Password => Ok(()),
            _ => Err(self.refused_oneself(
                "principal.set-password",
                "one's own password is changed with the present one; send that as the password",
            )),
        }
    }
}
