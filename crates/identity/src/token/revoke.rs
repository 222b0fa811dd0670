//! Ending tokens before their time, and whose they are.

use landfall_clock::Timestamp;
use landfall_ids::{PrincipalId, TokenId};

use crate::{
    AuditEvent, Caller, Error, Identity, Page,
    store::{self, principals::Standing},
};

/// An authorization token that has not ended, as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationToken {
    /// Its identity.
    pub id: TokenId,
    /// Whose it is.
    pub principal: PrincipalId,
    /// When it was made.
    pub issued: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

impl Identity {
    /// The authorization token of that identity, if there is one that has not
    /// ended. Bearer tokens are not remembered.
    pub async fn authorization_token_show(
        &self,
        id: TokenId,
    ) -> Result<Option<AuthorizationToken>, Error> {
        let now = self.clock.now();
        Ok(self
            .database
            .read(move |tx| store::tokens::authorization_token_find(tx, id, now))
            .await?)
    }

    /// The authorization tokens of a principal that have not ended, oldest
    /// first, after `last`.
    pub async fn authorization_token_list(
        &self,
        principal: PrincipalId,
        last: Option<TokenId>,
        limit: usize,
    ) -> Result<Page<AuthorizationToken>, Error> {
        let now = self.clock.now();
        let mut entries = self
            .database
            .read(move |tx| {
                let most = limit.saturating_add(1);
                store::tokens::authorization_token_list(tx, principal, last, now, most)
            })
            .await?;
        let more = entries.len() > limit;
        entries.truncate(limit);
        Ok(Page { entries, more })
    }

    /// Ends a token of either kind, and the bearer tokens that were made with
    /// it. Whether the caller may is asked before. Nothing happens if it has
    /// ended already.
    pub async fn token_revoke(&self, id: TokenId, by: &Caller) -> Result<(), Error> {
        let now = self.clock.now();
        let event = AuditEvent::new(by, "token.revoke", "token", id.to_string());
        self.change(event.id(id), move |tx| {
            store::tokens::token_revoke(tx, id, now)?;
            Ok(())
        })
        .await
    }

    /// Ends all tokens of a principal. Its password and its API keys stay.
    pub async fn principal_tokens_revoke(
        &self,
        principal: PrincipalId,
        by: &Caller,
    ) -> Result<(), Error> {
        let known = self
            .database
            .read(move |tx| store::principals::principal_standing(tx, principal))
            .await?;
        let name = match known {
            None => return Err(Error::not_found("principal", principal)),
            Some(Standing::Good(principal)) => principal.login_name(),
            Some(_) => principal.to_string(),
        };
        let event = AuditEvent::new(by, "principal.revoke-tokens", "principal", name);
        // Whoever was known is so for ever: principals keep their rows.
        self.change(event.id(principal), move |tx| {
            Ok(store::tokens::principal_tokens_end(tx, principal)?)
        })
        .await
    }
}
