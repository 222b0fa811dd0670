//! PostgreSQL with a blob store on a local disk is for one server.

use std::time::{Duration, Instant};

use landfall_services::postgres::Cluster;

use super::shared;
use crate::{
    backends::Backends,
    server::{Options, Server},
    session::{Image, Session},
};

fn log_of_refusal(data: &std::path::Path, options: &Options) -> String {
    Server::try_start(data, options).expect_err("two servers on one disk")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_a_local_disk_is_refused_until_the_first_has_stopped() {
    let directory = tempfile::tempdir().expect("scratch directory");
    let [first, second] = ["first", "second"].map(|name| directory.path().join(name));
    let options = shared(&Backends::postgres());
    let running = Server::start_with(&first, &options);
    let session = Session::of(&running);
    session.push("acme/web", "v1", &Image::new(1, 2)).await;
    let log = log_of_refusal(&second, &options);
    assert!(
        log.contains("another server uses this database with a blob store on its own disk"),
        "{log}"
    );
    assert!(log.contains("S3 bucket by `LANDFALL_BLOBS_URL`"), "{log}");
    // The same folder of blobs, with other data beside it.
    let blobs = format!("file://{}", first.join("blobs").display());
    let same = options.clone().set("LANDFALL_BLOBS_URL", &blobs);
    let log = log_of_refusal(&second, &same);
    assert!(
        log.contains("the blob store is in use by another process"),
        "{log}"
    );
    assert!(running.stop(), "the server did not end well");
    // Given back: nobody waits.
    let since = std::time::Instant::now();
    let server = Server::start_with(&second, &same);
    assert!(since.elapsed().as_secs() < 8, "{:?}", since.elapsed());
    // Died: whoever has its folder goes on at once.
    server.kill();
    let since = std::time::Instant::now();
    let server = Server::start_with(&first, &options);
    assert!(since.elapsed().as_secs() < 8, "{:?}", since.elapsed());
    server.kill();
    // Somebody else waits for the end of the lease, and then hears that the
    // bytes are not on this disk.
    let third = directory.path().join("third");
    let log = log_of_refusal(&third, &options);
    assert!(log.contains("waiting for a server"), "{log}");
    assert!(
        log.contains("does not carry the mark of its store"),
        "{log}"
    );
}

#[test]
fn a_server_that_can_not_keep_its_local_disk_to_itself_stops() {
    let directory = tempfile::tempdir().expect("scratch directory");
    let cluster = Cluster::start();
    let options = shared(&Backends {
        database: cluster.fresh().to_string(),
        bucket: None,
    });
    let mut server = Server::start_with(&directory.path().join("data"), &options);
    cluster.stop();
    // Its lease is good for 12 seconds.
    let since = Instant::now();
    while !server.has_ended() {
        assert!(since.elapsed() < Duration::from_secs(30), "it goes on");
        std::thread::sleep(Duration::from_millis(50));
    }
    let log = server.log();
    assert!(
        log.contains("another server may take over this blob store; stopping"),
        "{log}"
    );
}
