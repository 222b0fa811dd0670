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
                let most = (limit + 1, PAGE_BYTES);
                manifests::manifest_referrers(tx, &name, &subject, kind, &last, most)
            })
            .await?;
        let mut page = Page::cut(found, limit);
        // The last one may have come to see that it does not fit. But at least
        // one is in a page, or the pages would never end.
        if page.entries.len() > 1 && bytes(&page.entries) > PAGE_BYTES {
            page.entries.pop();
            page.more = true;
        }
        Ok(page)
    }
}

/// What the annotations take as they are stored.
fn bytes(referrers: &[Referrer]) -> usize {
    let sizes = referrers.iter().map(|referrer| {
        let annotations = &referrer.annotations;
        let text = serde_json::to_string(annotations).map_or(0, |text| text.len());
        256 + if annotations.is_empty() { 0 } else { text }
    });
    sizes.sum()
}
