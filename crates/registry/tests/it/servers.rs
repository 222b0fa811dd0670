//! Several servers over one database and one bucket. They know nothing of each
//! other: what keeps them apart are the tokens on record and the bucket.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use landfall_clock::{Clock, SystemClock};
use landfall_database::Kind;
use landfall_ids::{AccountId, UploadId};
use landfall_oci::{Algorithm, ByteRange};
use landfall_registry::{Error, Registry};

use crate::{
    shelf::{self, Shelf},
    world::{self, Place, SETTINGS, body, content, digest, repository},
};

const NAME: &str = "acme/web";

/// Some servers, and the shelf that they share.
struct Servers {
    all: Vec<Arc<Registry>>,
    shelf: Shelf,
    account: AccountId,
}

impl Servers {
    async fn new(count: usize) -> Self {
        world::on(Kind::Postgres);
        shelf::in_bucket();
        let folder = tempfile::tempdir().expect("a scratch folder");
        let (place, shelf) = (Place::new(folder.path()), Shelf::new(folder.path()));
        let mut all = Vec::new();
        for _ in 0..count {
            let clock = Arc::new(SystemClock);
            let database = place.open().await;
            let opened = Registry::open(database, shelf.open(), clock, SETTINGS).await;
            all.push(Arc::new(opened.expect("they belong together")));
        }
        Self {
            all,
            shelf,
            account: AccountId::new_at(SystemClock.now().unix_micros()),
        }
    }

    async fn start(&self) -> UploadId {
        let name = repository(NAME);
        let started = self.all[0].upload_start(&name, self.account, Algorithm::Sha256);
        started.await.expect("a session").id
    }

    async fn read(&self, whole: &Bytes) -> Vec<u8> {
        let (name, wanted) = (repository(NAME), digest(whole));
        let server = self.all.last().expect("a server");
        let (blob, source) = server.blob_open(&name, &wanted).await.expect("a blob");
        let read: Result<Vec<Bytes>, _> = source.read(0..blob.size).try_collect().await;
        read.expect("bytes").concat()
    }
}

#[tokio::test]
async fn a_session_goes_from_server_to_server_on_postgres_and_s3() {
    let servers = Servers::new(3).await;
    let (name, whole) = (repository(NAME), content(1, 700_000));
    let id = servers.start().await;
    for (number, chunk) in whole.chunks(90_000).enumerate() {
        let server = &servers.all[number % 3];
        let received = server.upload_append(&name, id, None, body(chunk)).await;
        received.expect("the chunk is taken");
    }
    let server = &servers.all[1];
    let wanted = digest(&whole);
    let closed = server.upload_finish(&name, id, &wanted, None, body(b""));
    closed.await.expect("the blob is taken");
    assert!(servers.read(&whole).await == whole);
}

#[tokio::test]
async fn a_bucket_that_belongs_to_another_database_is_refused_on_postgres_and_s3() {
    let servers = Servers::new(1).await;
    let folder = tempfile::tempdir().expect("a scratch folder");
    let database = Place::new(folder.path()).open().await;
    let clock = Arc::new(SystemClock);
    let opened = Registry::open(database, servers.shelf.open(), clock, SETTINGS).await;
    match opened {
        Err(Error::StoreMismatch(reason)) => {
            let owner = servers.all[0].store_id().to_string();
            assert!(reason.contains(&owner), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

/// A client that gives up early and tries again, each time at another server,
/// while its earlier requests are still on their way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_requests_at_several_servers_lose_no_acknowledged_byte_on_postgres_and_s3() {
    let servers = Servers::new(3).await;
    let (name, whole) = (repository(NAME), content(1, 400_000));
    for round in 0..8 {
        let id = servers.start().await;
        let mut requests = Vec::new();
        for number in 0..9usize {
            let server = Arc::clone(&servers.all[number % 3]);
            let (name, whole) = (name.clone(), whole.clone());
            requests.push(tokio::spawn(async move {
                // Where the session stands, as the client was told.
                let Ok(status) = server.upload_status(&name, id).await else {
                    return;
                };
                let first = status.received;
                let start = usize::try_from(first).expect("small");
                let rest = whole.slice(start..);
                let closes = number % 3 == round % 3;
                let most = if closes {
                    whole.len()
                } else {
                    30_000 + 1_000 * number
                };
                let chunk = rest.slice(..rest.len().min(most));
                let last = (first + chunk.len() as u64).saturating_sub(1);
                let Some(range) = ByteRange::new(first, last).filter(|_| !chunk.is_empty()) else {
                    return;
                };
                let range = Some(range);
                let outcome = if closes {
                    let wanted = digest(&whole);
                    let end = server.upload_finish(&name, id, &wanted, range, body(&chunk));
                    end.await
                } else {
                    let appended = server.upload_append(&name, id, range, body(&chunk));
                    appended.await.map(drop)
                };
                match outcome {
                    Ok(()) | Err(Error::ChunkOutOfOrder { .. } | Error::UploadUnknown) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }));
        }
        for request in requests {
            request.await.expect("no panic");
        }
        // Whatever came of it: the client asks, and sends the rest.
        let server = &servers.all[round % 3];
        if let Ok(status) = server.upload_status(&name, id).await {
            let start = usize::try_from(status.received).expect("small");
            let rest = body(&whole[start..]);
            let wanted = digest(&whole);
            let closed = server.upload_finish(&name, id, &wanted, None, rest);
            closed.await.expect("what was acknowledged is whole");
            assert!(servers.read(&whole).await == whole);
        }
    }
    let stored = servers.shelf.open().list().count().await;
    assert!(stored >= 1);
}
