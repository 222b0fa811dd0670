//! `layers:check`: which layers of an image must be uploaded, in one call.
//!
//! The answer comes from the metadata database alone. Layers that another
//! repository of the same account holds are linked on the way, so that a new
//! repository for the same base needs no upload of it.

use landfall_ids::AccountId;
use landfall_oci::{Digest, RepositoryName};

use crate::{
    Error, LayerState, Registry, Result,
    store::{blobs, candidates, repositories},
};

/// The repositories of an account that hold layers, for each digest a few.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerSources {
    /// In the order of the digests.
    of: Vec<(Digest, Vec<RepositoryName>)>,
}

impl LayerSources {
    /// The repositories, each once.
    pub fn repositories(&self) -> Vec<RepositoryName> {
        let mut all: Vec<_> = self.of.iter().flat_map(|(_, of)| of).cloned().collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl Registry {
    /// The repositories of the account that the layers may be mounted from.
    pub async fn layer_sources(
        &self,
        account: AccountId,
        digests: &[Digest],
    ) -> Result<LayerSources> {
        let mut ordered = digests.to_vec();
        ordered.sort_unstable();
        ordered.dedup();
        let sources = self.database.read(move |tx| {
            let of = ordered
                .into_iter()
                .map(|digest| Ok((digest, blobs::link_sources(tx, account, &digest)?)));
            let of = of.collect::<landfall_database::Result<Vec<_>>>()?;
            Ok(LayerSources { of })
        });
        sources.await
    }

    /// The state of each digest, in the order asked. `sources` are those of the
    /// digests ([`Registry::layer_sources`]); `may_read` tells which of them the
    /// caller may read. Positive answers are promises.
    pub async fn layers_check(
        &self,
        name: &RepositoryName,
        account: AccountId,
        digests: &[Digest],
        sources: LayerSources,
        may_read: impl Fn(&RepositoryName) -> bool,
    ) -> Result<Vec<(Digest, LayerState)>> {
        let sources: Vec<_> = sources
            .of
            .into_iter()
            .map(|(digest, sources)| (digest, sources.into_iter().find(&may_read)))
            .collect();
        let (now, name, actor) = (self.now(), name.clone(), self.actor.clone());
        let promise = self.promise();
        let states = self
            .database
            .write(move |tx| {
                let mut states = Vec::with_capacity(sources.len());
                for (digest, source) in &sources {
                    let link = blobs::link_find(tx, &name, digest)?;
                    let state = match (&link, source) {
                        (Some(_), _) => LayerState::Present,
                        (None, Some(from)) if blobs::link_find(tx, from, digest)?.is_some() => {
                            LayerState::Mounted
                        }
                        (None, _) => LayerState::New,
                    };
                    let covered = link.is_some_and(|link| {
                        link.referenced || promise.is_covered(link.keep_until, now)
                    });
                    if state != LayerState::New && !covered {
                        let keep_until = promise.given(now);
                        let repository = repositories::repository_ensure(
                            tx,
                            &name,
                            account,
                            actor.as_deref(),
                            now,
                        )?;
                        blobs::link_upsert(tx, repository.id, digest, keep_until)?;
                        candidates::candidate_insert(tx, digest, keep_until, now)?;
                    }
                    states.push((*digest, state));
                }
                Ok::<_, Error>(states)
            })
            .await?;
        let state = |digest: &Digest| {
            let found = states.binary_search_by_key(digest, |(each, _)| *each);
            found.map_or(LayerState::New, |index| states[index].1)
        };
        Ok(digests
            .iter()
            .map(|digest| (*digest, state(digest)))
            .collect())
    }
}
