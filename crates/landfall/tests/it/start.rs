//! Starting and stopping.

use reqwest::{Method, StatusCode};

use crate::server::Server;

#[tokio::test]
async fn a_first_start_makes_everything_and_a_second_finds_it() {
    let directory = tempfile::tempdir().expect("scratch directory");
    let data = directory.path().join("data");
    for _ in 0..2 {
        let server = Server::start(&data);
        let base = server
            .request(Method::GET, "/v2/")
            .send()
            .await
            .expect("answer");
        assert_eq!(base.status(), StatusCode::OK);
        assert!(server.stop(), "the server did not end well");
    }
}

#[test]
fn a_second_server_on_the_same_data_is_refused_with_one_sentence() {
    let directory = tempfile::tempdir().expect("scratch directory");
    let data = directory.path().join("data");
    let _first = Server::start(&data);
    let second = Server::try_start(&data, &crate::server::Options::default());
    let log = second.expect_err("two servers on one directory");
    assert!(
        log.contains("is used by another `landfall` process"),
        "{log}"
    );
}
