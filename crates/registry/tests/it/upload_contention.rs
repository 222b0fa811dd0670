//! Two requests at once: on one session, and with one content.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use landfall_blobs::{Calls, Operation};
use landfall_oci::{Algorithm, ByteRange};
use landfall_registry::{Body, Error};
use tokio::sync::{Notify, oneshot};

use crate::world::{World, body, content, digest, repository};

on_both!(
    of_two_requests_on_a_session_the_later_wins,
    a_closing_request_that_was_overtaken_makes_no_blob,
    a_request_that_was_overtaken_before_it_wrote_takes_nothing_away,
    a_cancelled_session_makes_no_blob_of_the_request_that_still_runs,
    an_upload_never_waits_for_another_of_the_same_content,
    bytes_that_are_to_be_deleted_become_no_blob,
    a_closing_request_that_was_overtaken_takes_no_bytes_away,
    a_closing_request_that_has_hashed_its_bytes_is_not_overtaken,
    a_request_that_was_overtaken_ends_no_session,
);

on_s3!(
    of_two_requests_on_a_session_the_later_wins,
    a_closing_request_that_was_overtaken_makes_no_blob,
    a_request_that_was_overtaken_before_it_wrote_takes_nothing_away,
    a_cancelled_session_makes_no_blob_of_the_request_that_still_runs,
    an_upload_never_waits_for_another_of_the_same_content,
    a_closing_request_that_was_overtaken_takes_no_bytes_away,
    a_closing_request_that_has_hashed_its_bytes_is_not_overtaken,
    a_request_that_was_overtaken_ends_no_session,
);

const NAME: &str = "acme/web";

/// A body that tells when its first bytes were asked for, and ends when it is
/// told to.
fn slow_body(
    bytes: &[u8],
    begun: oneshot::Sender<()>,
    end: oneshot::Receiver<()>,
) -> Body<'static> {
    let bytes = Bytes::copy_from_slice(bytes);
    let first = async move {
        begun.send(()).expect("the test waits");
        Ok(bytes)
    };
    let last = async move {
        end.await.expect("the test says when");
        Ok(Bytes::new())
    };
    stream::once(first).chain(stream::once(last)).boxed()
}

async fn of_two_requests_on_a_session_the_later_wins() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 600));
    let id = world.upload_start(&name, world.account, Algorithm::Sha256);
    let id = id.await.expect("a session").id;
    let (begun, has_begun) = oneshot::channel();
    let (end, ends) = oneshot::channel();
    let earlier = tokio::spawn({
        let (registry, name) = (world.registry(), name.clone());
        let wrong = content(7, 400);
        async move {
            let body = slow_body(&wrong, begun, ends);
            registry.upload_append(&name, id, None, body).await
        }
    });
    has_begun.await.expect("the earlier request writes");
    let later = world.upload_append(&name, id, None, body(&whole[..300]));
    assert_eq!(later.await.expect("the later request").received, 300);
    end.send(()).expect("the earlier request still runs");
    let earlier = earlier.await.expect("no panic");
    assert!(
        matches!(earlier, Err(Error::ChunkOutOfOrder { received: 300 })),
        "{earlier:?}"
    );
    let wanted = digest(&whole);
    let last = world.upload_finish(&name, id, &wanted, None, body(&whole[300..]));
    last.await.expect("nothing of the earlier request is in it");
    assert_eq!(world.read(&name, &wanted).await.expect("bytes"), whole);
}

async fn a_closing_request_that_was_overtaken_makes_no_blob() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 600));
    let id = world.upload_start(&name, world.account, Algorithm::Sha256);
    let id = id.await.expect("a session").id;
    let (begun, has_begun) = oneshot::channel();
    let (end, ends) = oneshot::channel();
    let early = content(7, 400);
    let early_digest = digest(&early);
    let earlier = tokio::spawn({
        let (registry, name) = (world.registry(), name.clone());
        async move {
            let body = slow_body(&early, begun, ends);
            registry
                .upload_finish(&name, id, &early_digest, None, body)
                .await
        }
    });
    has_begun.await.expect("the earlier request writes");
    let wanted = digest(&whole);
    let later = world.upload_finish(&name, id, &wanted, None, body(&whole));
    later.await.expect("the later request");
    end.send(()).expect("the earlier request still runs");
    let earlier = earlier.await.expect("no panic");
    assert!(
        matches!(earlier, Err(Error::UploadUnknown)),
        "the session has ended: {earlier:?}"
    );
    assert!(!world.holds(&name, &early_digest).await);
    assert_eq!(world.read(&name, &wanted).await.expect("bytes"), whole);
    world.drains().await;
}

/// Makes the calls of `operation` wait, and returns the bell that lets them
/// go on, and the one that rings when one waits.
fn held(world: &World, operation: Operation) -> (Arc<Notify>, Arc<Notify>) {
    let (go, waits) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let hook = (Arc::clone(&go), Arc::clone(&waits));
    world.store.stall(operation, Calls::All, move |_| {
        let (go, waits) = (Arc::clone(&hook.0), Arc::clone(&hook.1));
        Box::pin(async move {
            waits.notify_one();
            go.notified().await;
        })
    });
    (go, waits)
}

async fn a_request_that_was_overtaken_before_it_wrote_takes_nothing_away() {
    // The earlier request has its turn in the database and not yet in the
    // store when the later one comes, and its client has long hung up.
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 600));
    let id = world.upload_start(&name, world.account, Algorithm::Sha256);
    let id = id.await.expect("a session").id;
    let part = world.upload_append(&name, id, None, body(&whole[..100]));
    part.await.expect("a part");
    let (go, waits) = held(&world, Operation::Stage);
    let append = |end: usize| {
        let (registry, name, part) = (world.registry(), name.clone(), whole.slice(100..end));
        let range = ByteRange::of_chunk(&format!("100-{}", end - 1)).expect("a range");
        tokio::spawn(async move {
            let appended = registry.upload_append(&name, id, Some(range), body(&part));
            appended.await.map(|status| status.received)
        })
    };
    let earlier = append(200);
    waits.notified().await;
    world.store.heal();
    let mut later = append(300);
    // It comes to its end, or waits for the earlier one.
    let first = tokio::time::timeout(Duration::from_millis(100), &mut later).await;
    go.notify_one();
    let later = match first {
        Ok(later) => later,
        Err(_) => later.await,
    };
    let answers = [earlier.await, later].map(|answer| answer.expect("no panic"));
    let acknowledged = answers.iter().filter_map(|answer| answer.as_ref().ok());
    let received = *acknowledged.max().expect("one of the two was taken");
    for refused in answers.into_iter().filter_map(Result::err) {
        assert!(
            matches!(refused, Error::ChunkOutOfOrder { received: at } if at <= received),
            "{refused:?}"
        );
    }
    let (wanted, rest) = (digest(&whole), body(&whole[received as usize..]));
    let last = world.upload_finish(&name, id, &wanted, None, rest);
    last.await.expect("what was acknowledged is there");
    assert_eq!(world.read(&name, &wanted).await.expect("bytes"), whole);
}

async fn a_cancelled_session_makes_no_blob_of_the_request_that_still_runs() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 600));
    let id = world.upload_start(&name, world.account, Algorithm::Sha256);
    let id = id.await.expect("a session").id;
    let (go, waits) = held(&world, Operation::Promote);
    let wanted = digest(&whole);
    let closing = tokio::spawn({
        let (registry, name, whole) = (world.registry(), name.clone(), whole.clone());
        async move {
            registry
                .upload_finish(&name, id, &wanted, None, body(&whole))
                .await
        }
    });
    waits.notified().await;
    world.upload_cancel(&name, id).await.expect("cancelled");
    go.notify_one();
    let closing = closing.await.expect("no panic");
    assert!(matches!(closing, Err(Error::UploadUnknown)), "{closing:?}");
    assert!(!world.holds(&name, &wanted).await);
    world.drains().await;
}

async fn an_upload_never_waits_for_another_of_the_same_content() {
    let world = World::new().await;
    let (name, other, whole) = (repository(NAME), repository("else/where"), content(1, 600));
    let (go, waits) = held(&world, Operation::Promote);
    let wanted = digest(&whole);
    let slow = tokio::spawn({
        let (registry, name, whole) = (world.registry(), name.clone(), whole.clone());
        let account = world.account;
        async move {
            registry
                .blob_push(&name, account, &wanted, body(&whole))
                .await
        }
    });
    waits.notified().await;
    world.store.heal();
    world.push(&other, &whole).await;
    assert!(!world.holds(&name, &wanted).await);
    go.notify_one();
    slow.await.expect("no panic").expect("taken as well");
    for name in [&name, &other] {
        assert_eq!(world.read(name, &wanted).await.expect("bytes"), whole);
    }
    assert_eq!(world.count("select count(*) from blob").await, 1);
    assert_eq!(world.count("select count(*) from trash").await, 1);
    world.files_are_those_of_the_rows().await;
    world.collect().await;
    assert_eq!(world.files("blobs").len(), 1, "stored once");
    assert_eq!(world.read(&name, &wanted).await.expect("bytes"), whole);
}

async fn bytes_that_are_to_be_deleted_become_no_blob() {
    // A session that lay still for longer than files may be without a row: the
    // sweep for orphans comes between the move of the bytes and the commit.
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 600));
    let id = world.upload_start(&name, world.account, Algorithm::Sha256);
    let id = id.await.expect("a session").id;
    let part = world.upload_append(&name, id, None, body(&whole));
    part.await.expect("a part");
    let wanted = digest(&whole);
    let hex = wanted.hex();
    let location = format!("sha256/{}/{hex}.{id}", &hex[..2]);
    world
        .change(&format!("insert into trash values ('{location}', 600, 0)"))
        .await;
    let closed = world.upload_finish(&name, id, &wanted, None, body(&[]));
    let closed = closed.await;
    assert!(matches!(closed, Err(Error::UploadUnknown)), "{closed:?}");
    assert!(!world.holds(&name, &wanted).await);
    world.tables_agree().await;
    world.push(&name, &whole).await;
    world.collect().await;
    assert_eq!(world.read(&name, &wanted).await.expect("bytes"), whole);
}

async fn a_closing_request_that_was_overtaken_takes_no_bytes_away() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 600));
    let id = world.upload_start(&name, world.account, Algorithm::Sha256);
    let id = id.await.expect("a session").id;
    let part = world.upload_append(&name, id, None, body(&whole[..100]));
    part.await.expect("a part");
    let (begun, has_begun) = oneshot::channel();
    let (end, ends) = oneshot::channel();
    let earlier = tokio::spawn({
        let (registry, name, whole) = (world.registry(), name.clone(), whole.clone());
        async move {
            let rest = slow_body(&whole[100..], begun, ends);
            let wanted = digest(&whole);
            registry.upload_finish(&name, id, &wanted, None, rest).await
        }
    });
    has_begun.await.expect("the earlier request writes");
    // The later one has its token, and is about to take the bytes over.
    let (go, waits) = held(&world, Operation::Stage);
    let later = tokio::spawn({
        let (registry, name, part) = (world.registry(), name.clone(), whole.slice(100..300));
        async move { registry.upload_append(&name, id, None, body(&part)).await }
    });
    waits.notified().await;
    end.send(()).expect("the earlier request still runs");
    world.store.heal();
    // It comes to its end, or waits for the later one to take over.
    let mut earlier = earlier;
    let first = tokio::time::timeout(Duration::from_millis(100), &mut earlier).await;
    go.notify_one();
    let earlier = match first {
        Ok(earlier) => earlier,
        Err(_) => earlier.await,
    };
    let earlier = earlier.expect("no panic");
    assert!(
        matches!(earlier, Err(Error::ChunkOutOfOrder { .. })),
        "{earlier:?}"
    );
    let later = later.await.expect("no panic");
    assert_eq!(later.expect("the later one wins").received, 300);
    let (wanted, rest) = (digest(&whole), body(&whole[300..]));
    let last = world.upload_finish(&name, id, &wanted, None, rest);
    last.await.expect("what was acknowledged is there");
    assert_eq!(world.store.calls(Operation::Promote), 1, "of the later one");
    assert_eq!(world.read(&name, &wanted).await.expect("bytes"), whole);
}

async fn a_closing_request_that_has_hashed_its_bytes_is_not_overtaken() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 600));
    let id = world.upload_start(&name, world.account, Algorithm::Sha256);
    let id = id.await.expect("a session").id;
    let (go, waits) = held(&world, Operation::Promote);
    let wanted = digest(&whole);
    let closing = tokio::spawn({
        let (registry, name, whole) = (world.registry(), name.clone(), whole.clone());
        async move {
            registry
                .upload_finish(&name, id, &wanted, None, body(&whole))
                .await
        }
    });
    waits.notified().await;
    let mut later = tokio::spawn({
        let (registry, name) = (world.registry(), name.clone());
        async move { registry.upload_append(&name, id, None, body(b"more")).await }
    });
    // It waits, or would come to its end.
    let first = tokio::time::timeout(Duration::from_millis(100), &mut later).await;
    go.notify_one();
    closing.await.expect("no panic").expect("the blob");
    let later = match first {
        Ok(later) => later,
        Err(_) => later.await,
    };
    let later = later.expect("no panic");
    assert!(matches!(later, Err(Error::UploadUnknown)), "{later:?}");
    assert_eq!(world.read(&name, &wanted).await.expect("bytes"), whole);
}

async fn a_request_that_was_overtaken_ends_no_session() {
    let world = World::with(landfall_registry::Settings {
        max_blob_size: Some(1000),
        ..crate::world::SETTINGS
    })
    .await;
    let (name, whole) = (repository(NAME), content(1, 600));
    let id = world.upload_start(&name, world.account, Algorithm::Sha256);
    let id = id.await.expect("a session").id;
    let (begun, has_begun) = oneshot::channel();
    let (end, ends) = oneshot::channel();
    let earlier = tokio::spawn({
        let (registry, name) = (world.registry(), name.clone());
        async move {
            let large = slow_body(&[0; 900], begun, ends).chain(body(&[0; 900]));
            registry.upload_append(&name, id, None, large.boxed()).await
        }
    });
    has_begun.await.expect("the earlier request writes");
    let later = world.upload_append(&name, id, None, body(&whole[..300]));
    assert_eq!(later.await.expect("the later request").received, 300);
    end.send(()).expect("the earlier request still runs");
    let earlier = earlier.await.expect("no panic");
    assert!(
        matches!(earlier, Err(Error::ChunkOutOfOrder { received: 300 })),
        "{earlier:?}"
    );
    let (wanted, rest) = (digest(&whole), body(&whole[300..]));
    let last = world.upload_finish(&name, id, &wanted, None, rest);
    last.await
        .expect("too much of another is no fault of this one");
    assert_eq!(world.read(&name, &wanted).await.expect("bytes"), whole);
}
