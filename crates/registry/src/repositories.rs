//! Repositories, made and listed.

use std::collections::HashMap;

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

    /// The identity of the repository of this name, if it can be seen: what each
    /// request looks up.
    pub async fn repository_look_up(
        &self,
        name: &RepositoryName,
    ) -> Result<Option<RepositoryId>, landfall_database::Error> {
        repositories::repository_look_up(&self.database, name).await
    }

    /// The same for many names, in their order, by one statement.
    pub async fn repositories_look_up(
        &self,
        names: &[RepositoryName],
    ) -> Result<Vec<Option<RepositoryId>>, landfall_database::Error> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let asked: Vec<String> = names.iter().map(ToString::to_string).collect();
        let found = self
            .database
            .read(move |tx| repositories::repository_ids(tx, &asked))
            .await?;
        let found: HashMap<_, _> = found.into_iter().collect();
        Ok(names
            .iter()
            .map(|name| found.get(name.as_str()).copied())
            .collect())
    }

    /// The name of the repository of this identity, if it can be seen.
    pub async fn repository_name(
        &self,
        id: RepositoryId,
    ) -> Result<Option<RepositoryName>, landfall_database::Error> {
        repositories::repository_name(&self.database, id).await
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

    /// Those of these repositories that can be seen, and what they hold, in the
    /// order given.
    pub async fn repository_summaries(
        &self,
        names: Vec<RepositoryName>,
    ) -> Result<Vec<RepositorySummary>> {
        let found = self.database.read_long(move |tx| {
            let mut summaries = Vec::with_capacity(names.len());
            for name in &names {
                if let Some(found) = repositories::repository_find(tx, name)? {
                    summaries.push(repositories::repository_summary(tx, found)?);
                }
            }
            Ok::<_, Error>(summaries)
        });
        found.await
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

    /// The first of the account's repositories that is not deleted.
    pub async fn repository_of_account(
        &self,
        account: AccountId,
    ) -> Result<Option<RepositoryName>> {
        let found = self
            .database
            .read(move |tx| repositories::repository_of_account(tx, account));
        Ok(found.await?)
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
