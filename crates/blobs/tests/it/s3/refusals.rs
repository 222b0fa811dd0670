//! What can't work is refused in one sentence that says what would.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
    time::Duration,
};

use landfall_blobs::{BlobStore, Error, S3Options, S3Store};
use landfall_ids::StoreId;
use landfall_services::s3::{self, S3Target};

use super::{Bucket, open, options};
use crate::{bytes_of::put, contract::hostile_locations};

/// The sentence that a store is refused with.
async fn refused(target: &S3Target) -> String {
    let store = open(target);
    let mut sentences = Vec::new();
    for result in [
        store.store_id().await.map(drop),
        store.claim(StoreId::new_at(1)).await,
        store.probe().await,
    ] {
        match result {
            Err(error @ Error::Refused(_)) => sentences.push(error.to_string()),
            other => panic!("{other:?}"),
        }
    }
    sentences.dedup();
    assert_eq!(sentences.len(), 1, "{sentences:?}");
    let sentence = sentences.remove(0);
    assert!(!sentence.contains(&target.secret), "{sentence}");
    sentence
}

#[tokio::test]
async fn a_wrong_key_or_secret_is_told_apart() {
    let target = s3::bucket();
    let wrong = S3Target {
        secret: "wrong-secret".to_owned(),
        ..target.clone()
    };
    let sentence = refused(&wrong).await;
    assert!(sentence.contains("`AWS_SECRET_ACCESS_KEY`"), "{sentence}");
    let wrong = S3Target {
        key: "nobody".to_owned(),
        ..target
    };
    let sentence = refused(&wrong).await;
    assert!(sentence.contains("`AWS_ACCESS_KEY_ID`"), "{sentence}");
}

#[tokio::test]
async fn a_missing_bucket_is_named() {
    let missing = S3Target {
        bucket: "nobody-has-made-this".to_owned(),
        ..s3::bucket()
    };
    let sentence = refused(&missing).await;
    let start = "the blob store can't be used: there is no bucket `nobody-has-made-this`";
    assert!(sentence.starts_with(start), "{sentence}");
}

#[tokio::test]
async fn a_bucket_without_permission_says_what_is_needed() {
    let target = s3::bucket();
    let sentence = refused(&target.as_stranger()).await;
    assert!(sentence.contains("no permission"), "{sentence}");
    assert!(sentence.contains("get, put and delete"), "{sentence}");
}

#[tokio::test]
async fn what_is_no_s3_server_is_told_so() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let mut buffer = [0; 4096];
            let _ = client.read(&mut buffer);
            let _ = client.write_all(
                b"HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 12\r\n\r\n<html></html",
            );
        }
    });
    let target = S3Target {
        endpoint: format!("http://{address}"),
        ..s3::bucket()
    };
    let sentence = refused(&target).await;
    assert!(sentence.contains("not as an S3 server does"), "{sentence}");
}

#[tokio::test]
async fn a_404_that_is_not_of_s3_says_nothing_of_an_object() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let mut buffer = [0; 4096];
            let _ = client.read(&mut buffer);
            let _ = client.write_all(
                b"HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            );
        }
    });
    let target = S3Target {
        endpoint: format!("http://{address}"),
        ..s3::bucket()
    };
    let mut options: S3Options = options(&target);
    options.patience = Duration::from_millis(300);
    let store = S3Store::new(options).expect("a store");
    let marker = store.store_id().await;
    assert!(matches!(marker, Err(Error::Away(_))), "{marker:?}");
    // HEAD has no body that could tell.
    let location = "01a20ded-8680-79c6-b2f9-fefcdadea7bd.1";
    let opened = store.open(&location.parse().expect("a location")).await;
    assert!(matches!(opened, Err(Error::Away(_))), "{opened:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_away() {
    let target = S3Target {
        // Nobody listens on a port below 1024 that is not a service.
        endpoint: "http://127.0.0.1:9".to_owned(),
        ..s3::bucket()
    };
    let mut options: S3Options = options(&target);
    options.patience = Duration::from_millis(300);
    let store = S3Store::new(options).expect("a store");
    let away = store.store_id().await;
    assert!(matches!(away, Err(Error::Away(_))), "{away:?}");
}

#[tokio::test]
async fn two_stores_in_one_bucket_do_not_meet() {
    let bucket = Bucket::new();
    let with_prefix = |prefix: &str| {
        let mut options = options(&bucket.target);
        options.prefix = prefix.to_owned();
        S3Store::new(options).expect("a store")
    };
    let (one, two) = (with_prefix("one"), with_prefix("one/two"));
    one.claim(StoreId::new_at(1)).await.expect("claimed");
    assert_eq!(two.store_id().await.expect("a new store"), None);
    two.claim(StoreId::new_at(2)).await.expect("claimed");
    let location = put(&one, &bytes::Bytes::from_static(b"1")).await;
    let location = location.expect("a blob");
    assert!(matches!(
        two.open(&location).await,
        Err(Error::NotFound { .. })
    ));
    // The same prefix is the same store.
    let again = with_prefix("one");
    match again.claim(StoreId::new_at(3)).await {
        Err(Error::Claimed { by }) => assert_eq!(Some(by), one.store_id().await.expect("ours")),
        other => panic!("{other:?}"),
    }
    again.open(&location).await.expect("found");
}

#[tokio::test]
async fn a_location_of_another_kind_of_store_is_foreign() {
    let bucket = Bucket::new();
    for location in hostile_locations() {
        let foreign = bucket.store.open(&location).await;
        assert!(matches!(foreign, Err(Error::Foreign { .. })), "{location}");
        let foreign = bucket.store.delete(&location).await;
        assert!(matches!(foreign, Err(Error::Foreign { .. })), "{location}");
        let foreign = bucket.store.quarantine(&location).await;
        assert!(matches!(foreign, Err(Error::Foreign { .. })), "{location}");
    }
}

#[tokio::test]
async fn whoever_has_a_signed_url_reads_the_blob_and_nothing_else() {
    let bucket = Bucket::new();
    let whole = crate::bytes_of::content(100_000, 1);
    let location = put(&*bucket.store, &whole).await.expect("a blob");
    let other = put(&*bucket.store, &whole).await.expect("a blob");
    let lifetime = Duration::from_mins(1);
    let url = bucket
        .store
        .presign(&location, lifetime, "application/octet-stream");
    let url = url.await.expect("signed").expect("S3 can do this");
    assert!(!url.contains(&bucket.target.secret));
    let client = reqwest::Client::new();
    let get = client.get(&url).header("range", "bytes=1-9");
    let answer = get.send().await.expect("an answer");
    assert_eq!(answer.status(), 206);
    assert_eq!(answer.headers()["content-type"], "application/octet-stream");
    assert_eq!(answer.bytes().await.expect("bytes"), whole.slice(1..10));
    let stretched = url.replace(location.as_str(), other.as_str());
    assert_ne!(stretched, url);
    for refused in [
        client.get(stretched).send(),
        client.delete(&url).send(),
        client.get(url.replace("Expires=60", "Expires=600")).send(),
    ] {
        assert_eq!(refused.await.expect("an answer").status(), 403);
    }
}
