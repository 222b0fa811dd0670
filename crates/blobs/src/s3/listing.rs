//! Listings, a page at a time.

use std::sync::Arc;

use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};
use landfall_ids::UploadId;

use super::{Shared, answers, keys};
use crate::{Error, StagedObject, StoredObject};

const LISTING: &str = "listing the bucket";

/// Where a listing goes on.
enum Page<T> {
    Next(Option<T>),
    End,
}

/// Every object below `prefix`.
fn objects(
    shared: Arc<Shared>,
    prefix: String,
) -> BoxStream<'static, Result<answers::Object, Error>> {
    let pages = stream::try_unfold(Page::Next(None), move |page| {
        let (shared, prefix) = (Arc::clone(&shared), prefix.clone());
        async move {
            let Page::Next(after) = page else {
                return Ok(None);
            };
            let after: Option<String> = after;
            let found = shared.client.list(LISTING, &prefix, after.as_deref());
            let found = found.await?;
            let next = match found.next_continuation_token {
                Some(token) => Page::Next(Some(token)),
                None => Page::End,
            };
            Ok(Some((
                stream::iter(found.contents.into_iter().map(Ok)),
                next,
            )))
        }
    });
    pages.try_flatten().boxed()
}

pub(super) fn stored(shared: Arc<Shared>) -> BoxStream<'static, Result<StoredObject, Error>> {
    let prefix = shared.keys.blobs();
    objects(Arc::clone(&shared), prefix)
        .try_filter_map(move |object| {
            let stored = shared.keys.maker(&object.key).map(|made| {
                Ok(StoredObject {
                    location: keys::location(made)?,
                    size: object.size,
                    modified: object.modified(),
                })
            });
            std::future::ready(stored.transpose())
        })
        .boxed()
}

/// Tails, and multipart uploads with their parts.
pub(super) fn staged(shared: Arc<Shared>) -> BoxStream<'static, Result<StagedObject, Error>> {
    let tails = {
        let shared = Arc::clone(&shared);
        let prefix = shared.keys.staging();
        objects(Arc::clone(&shared), prefix).try_filter_map(move |object| {
            let staged = shared.keys.maker(&object.key).map(|made| StagedObject {
                upload: made.upload,
                size: object.size,
                modified: object.modified(),
            });
            std::future::ready(Ok(staged))
        })
    };
    let prefix = shared.keys.blobs();
    let uploads = uploads(Arc::clone(&shared), prefix).try_filter_map(move |upload| {
        let shared = Arc::clone(&shared);
        async move { shared.staged_parts(&upload).await }
    });
    tails.chain(uploads).boxed()
}

fn uploads(
    shared: Arc<Shared>,
    prefix: String,
) -> BoxStream<'static, Result<answers::Upload, Error>> {
    let pages = stream::try_unfold(Page::Next(None), move |page| {
        let (shared, prefix) = (Arc::clone(&shared), prefix.clone());
        async move {
            let Page::Next(after) = page else {
                return Ok(None);
            };
            let found = shared.client.list_uploads(LISTING, &prefix, after.as_ref());
            let found = found.await?;
            let next = match found.next() {
                Some(after) => Page::Next(Some(after)),
                None => Page::End,
            };
            Ok(Some((stream::iter(found.upload.into_iter().map(Ok)), next)))
        }
    });
    pages.try_flatten().boxed()
}

impl Shared {
    /// A multipart upload as a staged object; `None` if it has gone meanwhile.
    async fn staged_parts(&self, upload: &answers::Upload) -> Result<Option<StagedObject>, Error> {
        let Some(made) = self.keys.maker(&upload.key) else {
            return Ok(None);
        };
        let mut staged = StagedObject {
            upload: made.upload,
            size: 0,
            modified: upload.initiated(),
        };
        let mut after = None;
        loop {
            let page = self
                .client
                .list_parts(LISTING, &upload.key, &upload.id, after);
            let Some(page) = page.await? else {
                return Ok(None);
            };
            for part in &page.part {
                staged.size += part.size;
                staged.modified = staged.modified.max(part.modified());
            }
            match page.next() {
                next @ Some(_) if next != after => after = next,
                _ => return Ok(Some(staged)),
            }
        }
    }

    /// Throws away whatever is staged of an upload.
    pub(super) async fn discard(&self, upload: UploadId) -> Result<(), Error> {
        const DISCARDING: &str = "discarding an upload";
        let turn = self.fences.take_over(upload);
        // There are few of either, so the first page has them all.
        let blobs = self.keys.blobs_of(upload);
        let started = self.client.list_uploads(DISCARDING, &blobs, None).await?;
        for answers::Upload { key, id, .. } in started.upload {
            self.client.upload_abort(DISCARDING, &key, &id).await?;
        }
        let tails = self.keys.tails_of(upload);
        let tails = self.client.list(DISCARDING, &tails, None).await?;
        for answers::Object { key, .. } in tails.contents {
            self.client.delete(DISCARDING, &key).await?;
        }
        turn.enter_regardless().settle();
        Ok(())
    }
}
