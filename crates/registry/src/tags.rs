//! Tags, listed.

use landfall_oci::{RepositoryName, Tag};

use crate::{
    Error, Page, Registry, Result,
    store::{repositories, tags},
};

impl Registry {
    /// Up to `limit` tags after `last`, in the order of their bytes.
    pub async fn tag_list(
        &self,
        name: &RepositoryName,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Page<Tag>> {
        let (name, last) = (name.clone(), last.unwrap_or_default().to_owned());
        self.database
            .read_long(move |tx| {
                let repository = repositories::repository_find(tx, &name)?
                    .ok_or_else(|| Error::RepositoryUnknown(name.to_string()))?;
                let found = tags::tag_page(tx, repository.id, &last, limit + 1)?;
                Ok(Page::cut(found, limit))
            })
            .await
    }
}
