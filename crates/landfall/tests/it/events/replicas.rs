//! Events on two servers that share a database and a bucket.

use reqwest::Method;
use serde_json::json;

use super::{options, receiver::Receiver, until};
use crate::{
    backends::Backends,
    server::Server,
    session::{Image, MANIFEST, Session},
};

/// Pushes tags to a server: two events each.
async fn tag(session: &Session, image: &Image, tags: std::ops::Range<u32>) {
    for tag in tags {
        let tag = format!("t{tag}");
        session
            .push_manifest("admin/web", &tag, MANIFEST, &image.manifest)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_have_one_log_share_deliveries_and_take_over_from_each_other() {
    let directory = tempfile::tempdir().expect("scratch directory");
    let key = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";
    let options = options()
        .on(&Backends::services())
        .set("LANDFALL_MASTER_KEY", key);
    let start = |name: &str| Server::start_with(&directory.path().join(name), &options);
    let (one, two) = (start("one"), start("two"));
    let sessions = [Session::of(&one), Session::of(&two)];
    let receiver = Receiver::start().await;
    // Made on one server; its secret is sealed under the key of both.
    let made = sessions[0]
        .request(Method::POST, "/api/v1/webhooks")
        .json(&json!({ "url": receiver.url }))
        .send()
        .await
        .expect("an answer");
    assert_eq!(made.status(), 201);
    let image = Image::new(1, 2);
    sessions[0].push("admin/web", "v1", &image).await;
    for round in 0..10 {
        let session = &sessions[round as usize % 2];
        tag(session, &image, round * 2..round * 2 + 2).await;
    }
    until("all is delivered", async || receiver.taken().len() >= 43).await;
    let logs = [
        sessions[0].json("/api/v1/events?last=0").await,
        sessions[1].json("/api/v1/events?last=0").await,
    ];
    assert_eq!(logs[0], logs[1]);
    assert_eq!(logs[0]["items"].as_array().map(Vec::len), Some(43));

    // Whichever of them numbers events: one dies, the other goes on.
    one.kill();
    tag(&sessions[1], &image, 20..30).await;
    until("the other goes on", async || receiver.taken().len() >= 63).await;
    let taken = receiver.taken();
    let mut sequences: Vec<_> = taken
        .iter()
        .map(|event| event["sequence"].as_str().expect("text").to_owned())
        .collect();
    // A delivery that was taken and not yet noted comes again.
    assert!(sequences.is_sorted(), "{sequences:?}");
    sequences.dedup();
    assert_eq!(sequences.len(), 63);
    assert!(two.stop());
}
