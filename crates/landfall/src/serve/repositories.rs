//! What identity has to know of repositories, told by the registry.

use std::sync::Arc;

use async_trait::async_trait;
use landfall_database::Error;
use landfall_identity::Repositories;
use landfall_ids::RepositoryId;
use landfall_oci::RepositoryName;
use landfall_registry::Registry;

/// The repositories of a registry.
pub(super) struct OfRegistry(pub(super) Arc<Registry>);

#[async_trait]
impl Repositories for OfRegistry {
    async fn repository_find(&self, name: &RepositoryName) -> Result<Option<RepositoryId>, Error> {
        self.0.repository_look_up(name).await
    }

    async fn repositories_find(
        &self,
        names: &[RepositoryName],
    ) -> Result<Vec<Option<RepositoryId>>, Error> {
        self.0.repositories_look_up(names).await
    }

    async fn repository_name(&self, id: RepositoryId) -> Result<Option<RepositoryName>, Error> {
        self.0.repository_name(id).await
    }
}
