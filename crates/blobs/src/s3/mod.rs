//! The store in a bucket of an S3 server.
//!
//! | file | subject |
//! |---|---|
//! | `options` | which bucket, where, with whose key |
//! | `client`, `answers` | signed requests, repeated until they are answered; XML |
//! | `objects`, `sums` | the calls of S3 that are used; MD5 |
//! | `keys` | the names of objects |
//! | `state` | what is on record about an upload |
//! | `resume` | taking an upload up again, out of the reach of other writers |
//! | `room` | the memory that all writers share |
//! | `staging` | a writer: parts, and the tail |
//! | `promote` | making an object of a closed upload |
//! | `reader` | ranges as streams, over several connections if need be |
//! | `listing` | listings, and throwing uploads away |
//!
//! What is durable when, and what a crash leaves, is told in
//! [`crate::durability`].

mod answers;
mod client;
mod keys;
mod listing;
mod objects;
mod options;
mod promote;
mod reader;
mod resume;
mod room;
mod staging;
mod state;
mod sums;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use landfall_ids::{StoreId, UploadId};
use landfall_oci::{Algorithm, Digest};

use crate::{
    BlobSource, BlobStore, Error, Location, Resume, Staged, StagedObject, Staging, StoredObject,
    fence::Fences, marker::Marker,
};
use client::Client;
use keys::Keys;
pub use options::{InvalidS3Url, S3Key, S3Options};
use reader::ObjectReader;
use room::Room;
use state::Multipart;
use sums::Summed;

/// The largest object that the server copies in one go, and the longest marker.
const COPIED_AT_ONCE: u64 = 5 << 30;
const LONGEST_MARKER: u64 = 256;

/// A store in a bucket. Several processes may use it at once.
#[derive(Debug)]
pub struct S3Store {
    shared: Arc<Shared>,
}

/// What the store and its writers and readers have in common.
#[derive(Debug)]
struct Shared {
    client: Client,
    keys: Keys,
    /// For the writers of this process: whether they are out of the race.
    fences: Fences,
    /// For the parts that are in memory.
    room: Room,
}

impl S3Store {
    /// A store in the bucket. Asks nobody: whether the bucket can be used shows
    /// with the first call, [`BlobStore::store_id`] at a start.
    pub fn new(options: S3Options) -> Result<Self, Error> {
        let keys = Keys::new(&options.prefix);
        let room = Room::new(options.memory);
        let client = Client::new(options)?;
        Ok(Self {
            shared: Arc::new(Shared {
                client,
                keys,
                fences: Fences::default(),
                room,
            }),
        })
    }
}

impl Shared {
    async fn marker(&self) -> Result<Option<Marker>, Error> {
        const READING: &str = "reading the marker";
        let marker = self.keys.marker();
        let Some(text) = self.client.get(READING, &marker, 0..LONGEST_MARKER).await? else {
            return Ok(None);
        };
        let id = std::str::from_utf8(&text)
            .ok()
            .and_then(|text| text.parse().ok());
        id.map(Some).ok_or_else(|| {
            let what = format!("`{marker}` in the bucket is no store's identifier");
            Error::Refused(format!("{what}; give the store a prefix of its own"))
        })
    }

    async fn claim(&self, id: StoreId) -> Result<(), Error> {
        let text = Bytes::from(format!("{id}\n"));
        let (summed, ()) = Summed::with(text, |_| ()).await?;
        let put = self.client.put(&self.keys.marker(), &summed, true).await;
        match put {
            Ok(()) => {}
            Err(failure) if failure.is_precondition() => {}
            Err(failure) => return Err(self.client.explain("writing the marker", failure)),
        }
        match self.marker().await? {
            Some(found) if found.store == id => Ok(()),
            Some(Marker { store: by, .. }) => Err(Error::Claimed { by }),
            None => Err(Error::Refused(
                "the marker of the store was written and is not there".to_owned(),
            )),
        }
    }

    async fn reclaim(&self, id: StoreId, incarnation: StoreId) -> Result<(), Error> {
        const RECLAIMING: &str = "writing the marker";
        let marker = Marker {
            store: id,
            incarnation: Some(incarnation),
        };
        let key = self.keys.marker();
        // Its tag first: what is read after it is that marker, or a later one,
        // over which nothing is put.
        let Some(head) = self.client.head(RECLAIMING, &key).await? else {
            let what = "the marker of the store is not there";
            return Err(Error::Refused(what.to_owned()));
        };
        match self.marker().await? {
            Some(found) if found == marker => return Ok(()),
            Some(Marker { store: by, .. }) if by != id => return Err(Error::Claimed { by }),
            _ => {}
        }
        let (summed, ()) = Summed::with(Bytes::from(marker.to_string()), |_| ()).await?;
        // Some servers compare the tag with its quotes, others without.
        for tag in [format!("\"{}\"", head.etag), head.etag] {
            match self.client.put_over(&key, &summed, &tag).await {
                Ok(()) => break,
                Err(failure) if failure.is_precondition() => {}
                Err(failure) => return Err(self.client.explain(RECLAIMING, failure)),
            }
        }
        match self.marker().await? {
            Some(found) if found == marker => Ok(()),
            _ => Err(Error::InUse),
        }
    }

    async fn quarantine(&self, location: &Location) -> Result<(), Error> {
        const MOVING: &str = "moving a damaged blob aside";
        let (from, to) = (self.keys.at(location)?, self.keys.quarantined(location));
        let Some(found) = self.client.head(MOVING, &from).await? else {
            return match self.client.head(MOVING, &to).await? {
                Some(_) => Ok(()),
                None => Err(Error::NotFound {
                    location: location.clone(),
                }),
            };
        };
        let explain = |failure| self.client.explain(MOVING, failure);
        if found.size <= COPIED_AT_ONCE {
            self.client.copy(&from, &to).await.map_err(explain)?;
        } else {
            let mut multipart = Multipart {
                token: 0,
                id: self.client.upload_start(MOVING, &to).await?,
                parts: Vec::new(),
            };
            self.copy_into(&mut multipart, &to, &from, found.size)
                .await
                .map_err(explain)?;
            let Multipart { id, parts, .. } = &multipart;
            let completed = self.client.upload_complete(&to, id, parts).await;
            completed.map_err(explain)?;
        }
        self.client.delete(MOVING, &from).await
    }

    async fn probe(&self) -> Result<(), Error> {
        const PROBING: &str = "testing whether the blob store takes writes";
        let key = self.keys.probe(rand::random());
        let (summed, ()) = Summed::with(Bytes::from_static(b"probe\n"), |_| ()).await?;
        let put = self.client.put(&key, &summed, false).await;
        put.map_err(|failure| self.client.explain(PROBING, failure))?;
        self.client.delete(PROBING, &key).await
    }
}

#[async_trait]
impl BlobStore for S3Store {
    async fn store_id(&self) -> Result<Option<StoreId>, Error> {
        Ok(self.shared.marker().await?.map(|marker| marker.store))
    }

    async fn incarnation(&self) -> Result<Option<StoreId>, Error> {
        let found = self.shared.marker().await?;
        Ok(found.and_then(|marker| marker.incarnation))
    }

    async fn reclaim(&self, id: StoreId, incarnation: StoreId) -> Result<(), Error> {
        self.shared.reclaim(id, incarnation).await
    }

    async fn claim(&self, id: StoreId) -> Result<(), Error> {
        self.shared.claim(id).await
    }

    async fn stage(&self, upload: UploadId, resume: Resume) -> Result<Box<dyn Staging>, Error> {
        Ok(Box::new(self.shared.resume(upload, resume).await?))
    }

    async fn promote(
        &self,
        upload: UploadId,
        _: &Digest,
        staged: &Staged,
    ) -> Result<Location, Error> {
        self.shared.promote(upload, staged).await
    }

    async fn discard(&self, upload: UploadId) -> Result<(), Error> {
        self.shared.discard(upload).await
    }

    async fn digest_staged(
        &self,
        upload: UploadId,
        staged: &Staged,
        algorithm: Algorithm,
    ) -> Result<Digest, Error> {
        self.shared.rehash(upload, staged, algorithm).await
    }

    async fn open(&self, location: &Location) -> Result<BlobSource, Error> {
        let key = self.shared.keys.at(location)?;
        let found = self.shared.client.head("opening a blob", &key).await?;
        let Some(found) = found else {
            return Err(Error::NotFound {
                location: location.clone(),
            });
        };
        let reader = ObjectReader {
            shared: Arc::clone(&self.shared),
            key,
            location: location.clone(),
        };
        Ok(BlobSource::new(
            location.clone(),
            found.size,
            Arc::new(reader),
        ))
    }

    async fn presign(
        &self,
        location: &Location,
        lifetime: Duration,
        media_type: &str,
    ) -> Result<Option<String>, Error> {
        let key = self.shared.keys.at(location)?;
        let url = self.shared.client.presign(&key, lifetime, media_type).await;
        url.map(Some)
    }

    async fn delete(&self, location: &Location) -> Result<(), Error> {
        let key = self.shared.keys.at(location)?;
        self.shared.client.delete("deleting a blob", &key).await
    }

    async fn quarantine(&self, location: &Location) -> Result<(), Error> {
        self.shared.quarantine(location).await
    }

    fn list(&self) -> BoxStream<'static, Result<StoredObject, Error>> {
        listing::stored(Arc::clone(&self.shared))
    }

    fn list_staged(&self) -> BoxStream<'static, Result<StagedObject, Error>> {
        listing::staged(Arc::clone(&self.shared))
    }

    async fn probe(&self) -> Result<(), Error> {
        self.shared.probe().await
    }
}
