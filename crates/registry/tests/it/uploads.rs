//! Uploads: sessions from their start to their end, and blobs in one request.

use bytes::Bytes;
use landfall_blobs::{Calls, Fault, Moment, Operation};
use landfall_oci::{Algorithm, ByteRange, Digest};
use landfall_registry::{Error, UploadStatus};

use crate::world::{SETTINGS, World, body, broken_body, content, digest, repository};

on_both!(
    chunks_become_a_blob_that_reads_back,
    a_session_goes_on_after_a_restart,
    a_session_goes_on_after_a_closing_request_that_stopped_before_its_commit,
    a_chunk_out_of_order_is_refused_and_the_session_goes_on,
    a_wrong_digest_ends_the_session_and_leaves_no_bytes,
    a_session_of_sha512_ends_with_a_digest_of_sha512,
    the_closing_request_may_name_another_algorithm,
    a_body_that_breaks_off_keeps_what_came_before,
    a_body_of_another_length_than_its_range_is_refused_whole,
    a_blob_above_the_limit_is_refused_and_its_space_given_back,
    a_cancelled_session_is_gone_with_its_bytes,
    a_session_belongs_to_its_repository,
    empty_bytes_are_a_blob,
    a_blob_in_one_request_is_taken_whole_or_not_at_all,
    a_push_outlives_the_deletion_of_its_repository,
);

on_s3!(
    chunks_become_a_blob_that_reads_back,
    a_session_goes_on_after_a_restart,
    a_session_goes_on_after_a_closing_request_that_stopped_before_its_commit,
    a_chunk_out_of_order_is_refused_and_the_session_goes_on,
    a_wrong_digest_ends_the_session_and_leaves_no_bytes,
    a_session_of_sha512_ends_with_a_digest_of_sha512,
    the_closing_request_may_name_another_algorithm,
    a_body_that_breaks_off_keeps_what_came_before,
    a_body_of_another_length_than_its_range_is_refused_whole,
    a_blob_above_the_limit_is_refused_and_its_space_given_back,
    a_cancelled_session_is_gone_with_its_bytes,
    a_session_belongs_to_its_repository,
    empty_bytes_are_a_blob,
    a_blob_in_one_request_is_taken_whole_or_not_at_all,
    a_push_outlives_the_deletion_of_its_repository,
);

const NAME: &str = "acme/web";

fn range(first: u64, last: u64) -> ByteRange {
    ByteRange::new(first, last).expect("a range")
}

async fn start(world: &World) -> UploadStatus {
    let name = repository(NAME);
    let started = world.upload_start(&name, world.account, Algorithm::Sha256);
    started.await.expect("a session")
}

async fn chunks_become_a_blob_that_reads_back() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 2500));
    let UploadStatus { id, received } = start(&world).await;
    assert_eq!(received, 0);
    let first = world.upload_append(&name, id, Some(range(0, 999)), body(&whole[..1000]));
    assert_eq!(first.await.expect("the first chunk").received, 1000);
    let second = world.upload_append(&name, id, None, body(&whole[1000..1500]));
    assert_eq!(second.await.expect("the second chunk").received, 1500);
    let status = world.upload_status(&name, id).await.expect("it goes on");
    assert_eq!(status, UploadStatus { id, received: 1500 });
    let wanted = digest(&whole);
    assert!(!world.holds(&name, &wanted).await, "half of it is visible");
    let finished = world.upload_finish(
        &name,
        id,
        &wanted,
        Some(range(1500, 2499)),
        body(&whole[1500..]),
    );
    finished.await.expect("the blob");
    assert_eq!(world.read(&name, &wanted).await.expect("bytes"), whole);
    let ended = world.upload_status(&name, id).await;
    assert!(matches!(ended, Err(Error::UploadUnknown)), "{ended:?}");
    world.files_are_those_of_the_rows().await;
    assert!(world.files("staging").is_empty());
}

async fn a_session_goes_on_after_a_restart() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 900));
    let id = start(&world).await.id;
    let first = world.upload_append(&name, id, None, body(&whole[..400]));
    first.await.expect("the first part");

    let world = world.restart().await;
    let status = world
        .upload_status(&name, id)
        .await
        .expect("it is still known");
    assert_eq!(status.received, 400);
    let second = world.upload_append(&name, id, Some(range(400, 499)), body(&whole[400..500]));
    second.await.expect("the second part");

    let world = world.restart().await;
    let wanted = digest(&whole);
    let last = world.upload_finish(&name, id, &wanted, None, body(&whole[500..]));
    last.await.expect("the hash went on where it was");
    assert_eq!(world.read(&name, &wanted).await.expect("bytes"), whole);
}

async fn a_session_goes_on_after_a_closing_request_that_stopped_before_its_commit() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 900));
    let id = start(&world).await.id;
    let first = world.upload_append(&name, id, None, body(&whole[..400]));
    first.await.expect("the first part");
    let wanted = digest(&whole);
    let fault = (Operation::Promote, Calls::All, Fault::Io);
    world.store.fail(fault.0, fault.1, fault.2, Moment::After);
    let stopped = world.upload_finish(&name, id, &wanted, None, body(&whole[400..]));
    stopped
        .await
        .expect_err("it moved the bytes, and no further");
    assert_eq!(world.files("blobs").len(), 1);

    let world = world.restart().await;
    let status = world.upload_status(&name, id).await.expect("it goes on");
    assert_eq!(status.received, 400);
    let second = world.upload_append(&name, id, Some(range(400, 499)), body(&whole[400..500]));
    second.await.expect("the second part");
    let last = world.upload_finish(&name, id, &wanted, None, body(&whole[500..]));
    last.await.expect("the blob");
    assert_eq!(world.read(&name, &wanted).await.expect("bytes"), whole);
    world.files_are_those_of_the_rows().await;
}

async fn a_chunk_out_of_order_is_refused_and_the_session_goes_on() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 300));
    let id = start(&world).await.id;
    let ahead = world.upload_append(&name, id, Some(range(100, 199)), body(&whole[100..200]));
    let ahead = ahead.await;
    assert!(
        matches!(ahead, Err(Error::ChunkOutOfOrder { received: 0 })),
        "{ahead:?}"
    );
    let first = world.upload_append(&name, id, Some(range(0, 99)), body(&whole[..100]));
    first.await.expect("the first chunk");
    for (first, last) in [(0, 99), (50, 149), (200, 299)] {
        let wrong = world.upload_append(&name, id, Some(range(first, last)), body(&[0; 100]));
        let wrong = wrong.await;
        assert!(
            matches!(wrong, Err(Error::ChunkOutOfOrder { received: 100 })),
            "{wrong:?}"
        );
    }
    let wanted = digest(&whole);
    let closing = world.upload_finish(
        &name,
        id,
        &wanted,
        Some(range(200, 299)),
        body(&whole[200..]),
    );
    let closing = closing.await;
    assert!(
        matches!(closing, Err(Error::ChunkOutOfOrder { received: 100 })),
        "{closing:?}"
    );
    let rest = world.upload_finish(
        &name,
        id,
        &wanted,
        Some(range(100, 299)),
        body(&whole[100..]),
    );
    rest.await.expect("the blob");
    assert_eq!(world.read(&name, &wanted).await.expect("bytes"), whole);
}

async fn a_wrong_digest_ends_the_session_and_leaves_no_bytes() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 300));
    let id = start(&world).await.id;
    let wrong = digest(b"something else");
    let finished = world.upload_finish(&name, id, &wrong, None, body(&whole));
    match finished.await {
        Err(Error::DigestMismatch { expected, actual }) => {
            assert_eq!((expected, actual), (wrong, digest(&whole)));
        }
        other => panic!("{other:?}"),
    }
    let status = world.upload_status(&name, id).await;
    assert!(matches!(status, Err(Error::UploadUnknown)), "{status:?}");
    for of in [wrong, digest(&whole)] {
        assert!(!world.holds(&name, &of).await);
    }
    assert!(world.files("staging").is_empty() && world.files("blobs").is_empty());
}

async fn a_session_of_sha512_ends_with_a_digest_of_sha512() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 700));
    let wanted = Digest::of(Algorithm::Sha512, &whole);
    let id = world.upload_start(&name, world.account, Algorithm::Sha512);
    let id = id.await.expect("a session").id;
    let part = world.upload_append(&name, id, None, body(&whole[..300]));
    part.await.expect("a part");
    let last = world.upload_finish(&name, id, &wanted, None, body(&whole[300..]));
    last.await.expect("the blob");
    assert_eq!(world.read(&name, &wanted).await.expect("bytes"), whole);
    let other = digest(&whole);
    assert!(
        !world.holds(&name, &other).await,
        "a blob has one digest, the one it was pushed by"
    );
}

async fn the_closing_request_may_name_another_algorithm() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 700));
    let id = start(&world).await.id;
    let part = world.upload_append(&name, id, None, body(&whole[..300]));
    part.await.expect("a part");
    let wanted = Digest::of(Algorithm::Sha512, &whole);
    let last = world.upload_finish(&name, id, &wanted, None, body(&whole[300..]));
    last.await.expect("hashed again");
    assert_eq!(world.read(&name, &wanted).await.expect("bytes"), whole);

    let id = start(&world).await.id;
    let lie = Digest::of(Algorithm::Sha512, b"another");
    let refused = world
        .upload_finish(&name, id, &lie, None, body(&whole))
        .await;
    assert!(
        matches!(refused, Err(Error::DigestMismatch { .. })),
        "{refused:?}"
    );
}

async fn a_body_that_breaks_off_keeps_what_came_before() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 500));
    let id = start(&world).await.id;
    let broken = world.upload_append(&name, id, Some(range(0, 499)), broken_body(&whole[..300]));
    match broken.await {
        Err(Error::BodyBroken(reason)) => assert_eq!(reason, "the client hung up"),
        other => panic!("{other:?}"),
    }
    let status = world.upload_status(&name, id).await.expect("it goes on");
    assert_eq!(status.received, 300);
    let wanted = digest(&whole);
    let broken = world.upload_finish(&name, id, &wanted, None, broken_body(&whole[300..400]));
    assert!(matches!(broken.await, Err(Error::BodyBroken(_))));
    let status = world.upload_status(&name, id).await.expect("it goes on");
    assert_eq!(status.received, 300, "the closing request is tried whole");
    let last = world.upload_finish(
        &name,
        id,
        &wanted,
        Some(range(300, 499)),
        body(&whole[300..]),
    );
    last.await.expect("the blob");
    assert_eq!(world.read(&name, &wanted).await.expect("bytes"), whole);
}

async fn a_body_of_another_length_than_its_range_is_refused_whole() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 400));
    let id = start(&world).await.id;
    let short = world.upload_append(&name, id, Some(range(0, 199)), body(&whole[..150]));
    match short.await {
        Err(Error::SizeMismatch { expected, actual }) => assert_eq!((expected, actual), (200, 150)),
        other => panic!("{other:?}"),
    }
    let long = world.upload_append(&name, id, Some(range(0, 99)), body(&whole[..150]));
    match long.await {
        Err(Error::SizeMismatch { expected, actual }) => {
            assert_eq!(expected, 100);
            assert!(actual > 100, "{actual}");
        }
        other => panic!("{other:?}"),
    }
    let status = world.upload_status(&name, id).await.expect("it goes on");
    assert_eq!(status.received, 0, "nothing of a wrong chunk counts");
    let wanted = digest(&whole);
    let last = world.upload_finish(&name, id, &wanted, Some(range(0, 399)), body(&whole));
    last.await.expect("the blob");
    assert_eq!(world.read(&name, &wanted).await.expect("bytes"), whole);
}

async fn a_blob_above_the_limit_is_refused_and_its_space_given_back() {
    let settings = landfall_registry::Settings {
        max_blob_size: Some(1000),
        ..SETTINGS
    };
    let world = World::with(settings).await;
    let (name, large, most) = (repository(NAME), content(1, 1001), content(2, 1000));
    let whole = world
        .blob_push(&name, world.account, &digest(&large), body(&large))
        .await;
    assert!(
        matches!(whole, Err(Error::BlobTooLarge { limit: 1000 })),
        "{whole:?}"
    );
    let id = start(&world).await.id;
    let part = world.upload_append(&name, id, None, body(&large[..900]));
    part.await.expect("not too large yet");
    let rest = world.upload_append(&name, id, None, body(&large[900..]));
    assert!(matches!(rest.await, Err(Error::BlobTooLarge { .. })));
    let status = world.upload_status(&name, id).await;
    assert!(matches!(status, Err(Error::UploadUnknown)), "{status:?}");
    assert!(world.files("staging").is_empty() && world.files("blobs").is_empty());
    world.push(&name, &most).await;
}

async fn a_cancelled_session_is_gone_with_its_bytes() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 100));
    let id = start(&world).await.id;
    let part = world.upload_append(&name, id, None, body(&whole));
    part.await.expect("a part");
    assert_eq!(world.files("staging").len(), 1);
    world.upload_cancel(&name, id).await.expect("cancelled");
    assert!(world.files("staging").is_empty());
    let again = world.upload_cancel(&name, id).await;
    assert!(matches!(again, Err(Error::UploadUnknown)), "{again:?}");
    let more = world.upload_append(&name, id, None, body(&whole)).await;
    assert!(matches!(more, Err(Error::UploadUnknown)), "{more:?}");
}

async fn a_session_belongs_to_its_repository() {
    let world = World::new().await;
    let (name, other, whole) = (repository(NAME), repository("acme/other"), content(1, 50));
    world.push(&other, &content(9, 5)).await;
    let id = start(&world).await.id;
    let foreign = [
        world.upload_status(&other, id).await.err(),
        world
            .upload_append(&other, id, None, body(&whole))
            .await
            .err(),
        world.upload_cancel(&other, id).await.err(),
        world
            .upload_finish(&other, id, &digest(&whole), None, body(&whole))
            .await
            .err(),
    ];
    for error in foreign {
        assert!(matches!(error, Some(Error::UploadUnknown)), "{error:?}");
    }
    let wanted = digest(&whole);
    let last = world.upload_finish(&name, id, &wanted, None, body(&whole));
    last.await.expect("untouched by all of that");
}

async fn empty_bytes_are_a_blob() {
    let world = World::new().await;
    let (name, empty) = (repository(NAME), Bytes::new());
    let id = start(&world).await.id;
    let wanted = digest(&empty);
    let last = world.upload_finish(&name, id, &wanted, None, body(&empty));
    last.await.expect("the blob");
    assert_eq!(world.read(&name, &wanted).await.expect("bytes"), empty);
    world.push(&repository("acme/other"), &empty).await;
}

async fn a_blob_in_one_request_is_taken_whole_or_not_at_all() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 700));
    let wanted = digest(&whole);
    let broken = world.blob_push(&name, world.account, &wanted, broken_body(&whole));
    assert!(matches!(broken.await, Err(Error::BodyBroken(_))));
    let wrong = world.blob_push(&name, world.account, &wanted, body(&whole[1..]));
    assert!(matches!(wrong.await, Err(Error::DigestMismatch { .. })));
    assert!(!world.holds(&name, &wanted).await);
    assert!(world.files("staging").is_empty() && world.files("blobs").is_empty());
    world.push(&name, &whole).await;
    assert_eq!(world.read(&name, &wanted).await.expect("bytes"), whole);
}

async fn a_push_outlives_the_deletion_of_its_repository() {
    use landfall_blobs::{Calls, Operation};
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 700));
    world.push(&name, &content(2, 10)).await;
    // While the bytes are on their way, the repository goes for good.
    let (arrived, seen) = (
        std::sync::Arc::new(tokio::sync::Notify::new()),
        std::sync::Arc::new(tokio::sync::Notify::new()),
    );
    let hook = (arrived.clone(), seen.clone());
    world.store.stall(Operation::Promote, Calls::All, move |_| {
        let (arrived, seen) = hook.clone();
        Box::pin(async move {
            arrived.notify_one();
            seen.notified().await;
        })
    });
    let (registry, account) = (world.registry(), world.account);
    let pushed = tokio::spawn({
        let (name, whole) = (name.clone(), whole.clone());
        async move {
            let digest = digest(&whole);
            registry
                .blob_push(&name, account, &digest, body(&whole))
                .await
        }
    });
    arrived.notified().await;
    world.repository_delete(&name, true).await.expect("deleted");
    world.collect_all().await;
    assert_eq!(world.count("select count(*) from repository").await, 0);
    seen.notify_one();
    pushed
        .await
        .expect("no panic")
        .expect("a push makes its repository");
    assert_eq!(
        world.read(&name, &digest(&whole)).await.expect("bytes"),
        whole
    );
}
