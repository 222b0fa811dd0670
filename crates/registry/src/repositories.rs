//! Repositories, made and listed.

use landfall_ids::{AccountId, RepositoryId};
use landfall_oci::RepositoryName;

use crate::{
    Error, Page, Registry, Repository, RepositorySummary, Result, TagRules,
    event::{self, Event},
    store::{blobs, repositories, trash},
};

/// What the whole store holds: the operator's figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreTotals {
    /// Blobs, each stored once.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs whose bytes are gone or wrong.
    pub damaged: u64,
    /// Locations that wait for their deletion.
    pub trash: u64,
    /// Their bytes.
    pub trash_bytes: u64,
}

impl Registry {
    /// Makes an empty repository.
    pub async fn repository_create(
        &self,
        name: &RepositoryName,
        account: AccountId,
    ) -> Result<Repository> {
        let now = self.now();
        let id = RepositoryId::new_at(now.unix_micros());
        let new = Repository {
            id,
            account,
            name: name.clone(),
            created: now,
            rules: TagRules::default(),
        };
        let (made, actor) = (new.clone(), self.actor.clone());
        let inserted = self
            .database
            .write(move |tx| {
                let inserted = repositories::repository_insert(tx, &new)?;
                if inserted {
                    event::tell(tx, &new, actor.as_deref(), now, Event::RepositoryCreated)?;
                }
                Ok::<_, Error>(inserted)
            })
            .await?;
        if inserted {
            Ok(made)
        } else {
            Err(Error::RepositoryExists(name.to_string()))
        }
    }

    /// A repository and what it holds.
    pub async fn repository_show(&self, name: &RepositoryName) -> Result<RepositorySummary> {
        let name = name.clone();
        self.database
            .read_long(move |tx| {
                let found = repositories::repository_find(tx, &name)?
                    .ok_or_else(|| Error::RepositoryUnknown(name.to_string()))?;
                Ok(repositories::repository_summary(tx, found)?)
            })
            .await
    }

    /// Sets which tags of a repository may move. When this returns, whatever
    /// went by the old rules is over.
    pub async fn repository_set_rules(
        &self,
        name: &RepositoryName,
        rules: TagRules,
    ) -> Result<RepositorySummary> {
        let name = name.clone();
        self.database
            .write(move |tx| {
                let unknown = || Error::RepositoryUnknown(name.to_string());
                let found = repositories::repository_find(tx, &name)?.ok_or_else(unknown)?;
                repositories::repository_set_rules(tx, found.id, &rules)?;
                let changed = repositories::repository_find(tx, &name)?.ok_or_else(unknown)?;
                Ok(repositories::repository_summary(tx, changed)?)
            })
            .await
    }

    /// Up to `limit` repositories after `last`, in the order of their names.
    pub async fn repository_list(
        &self,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Page<RepositorySummary>> {
        let last = last.unwrap_or_default().to_owned();
        let found = self
            .database
            .read_long(move |tx| repositories::repository_summaries(tx, &last, limit + 1))
            .await?;
        Ok(Page::cut(found, limit))
    }

    /// Up to `limit` names of repositories after `last`, in order.
    pub async fn repository_names(
        &self,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Page<RepositoryName>> {
        let last = last.unwrap_or_default().to_owned();
        let found = self
            .database
            .read_long(move |tx| repositories::repository_names(tx, &last, limit + 1))
            .await?;
        Ok(Page::cut(found, limit))
    }

    /// What the whole store holds.
    pub async fn store_totals(&self) -> Result<StoreTotals> {
        let totals = self
            .database
            .read_long(|tx| {
                let (blobs, bytes, damaged) = blobs::blob_totals(tx)?;
                let (trash, trash_bytes) = trash::trash_totals(tx)?;
                Ok::<_, Error>(StoreTotals {
                    blobs,
                    bytes,
                    damaged,
                    trash,
                    trash_bytes,
                })
            })
            .await?;
        Ok(totals)
    }

    /// Whether the metadata and the bytes can be read and written now.
    pub async fn probe(&self) -> Result<()> {
        // In a transaction that may write: a standby refuses that.
        let found = self.database.write(|tx| repositories::store_id_find(tx));
        found.await?;
        self.blobs.probe().await?;
        self.owns_store().await
    }
}
