//! Referrers: the manifests that name another as their subject.

use landfall_oci::{Digest, RepositoryName};

use crate::{Page, Referrer, Registry, Result, store::manifests};

/// Bytes of annotations that one page carries, at the most; clients refuse an
/// index that is much larger than 4 MiB.
const PAGE_BYTES: usize = 3 * 1024 * 1024;

impl Registry {
    /// Up to `limit` referrers of a manifest after `last`, in digest order.
    /// The subject needs not be there; where nothing is known, the list is
    /// empty (distribution specification 1.1, "Listing Referrers").
    pub async fn referrer_list(
        &self,
        name: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&str>,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Page<Referrer>> {
        let (name, subject) = (name.clone(), *subject);
        let artifact_type = artifact_type.map(str::to_owned);
        let last = last.unwrap_or_default().to_owned();
        let found = self
            .database
            .read_long(move |tx| {
                let kind = artifact_type.as_deref();
                manifests::manifest_referrers(tx, &name, &subject, kind, &last, limit + 1)
            })
            .await?;
        let mut page = Page::cut(found, limit);
        let mut bytes = 0;
        let fitting = page.entries.iter().take_while(|referrer| {
            bytes += size(referrer);
            bytes <= PAGE_BYTES
        });
        // At least one, or a page would never end.
        let fitting = fitting.count().max(1);
        if fitting < page.entries.len() {
            page.entries.truncate(fitting);
            page.more = true;
        }
        Ok(page)
    }
}

fn size(referrer: &Referrer) -> usize {
    let annotations = referrer
        .annotations
        .iter()
        .map(|(key, value)| key.len() + value.len() + 8);
    256 + annotations.sum::<usize>()
}
