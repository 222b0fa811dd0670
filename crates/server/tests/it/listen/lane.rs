//! Answers whose bytes the kernel sends out of a file.

use std::{
    fs::File,
    io::Write as _,
    net::SocketAddr,
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Extension, Router,
    body::Body,
    extract::{Path, State},
    routing,
};
use bytes::Bytes;
use http::StatusCode;
use http_body::{Frame, SizeHint};
use landfall_server::{
    listen::{Drained, FileLane, Limits, Listener},
    tls::Tls,
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use tokio::{
    sync::{Semaphore, oneshot},
    task::JoinHandle,
};

use super::{client::Client, generous, signalled, within};

const LENGTH: usize = 3_000_000;

/// Longer than all that the sockets between us hold.
const ENDLESS: u64 = 64 << 20;

/// A server that answers with parts of a file.
struct World {
    address: SocketAddr,
    shared: Shared,
    content: String,
    shutdown: Option<oneshot::Sender<()>>,
    server: JoinHandle<Drained>,
}

#[derive(Clone)]
struct Shared {
    file: Arc<File>,
    /// Answers that were dropped.
    dropped: Arc<Semaphore>,
}

impl World {
    async fn start(limits: Limits, tls: Option<Tls>) -> Self {
        // Text that does not repeat where a part could be mistaken for another.
        let content: String = (0..LENGTH)
            .map(|at| char::from(b'a' + ((at * 7 + at / 97 + at / 65_539) % 26) as u8))
            .collect();
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(content.as_bytes()).expect("written");
        let shared = Shared {
            file: Arc::new(file),
            dropped: Arc::new(Semaphore::new(0)),
        };
        let router = Router::new()
            .route("/", routing::get(|| async { "hello" }))
            .route("/part/{start}/{length}/{step}", routing::get(part))
            .route("/copied", routing::get(copied))
            .with_state(shared.clone());
        let listener = Listener::bind("127.0.0.1:0", tls, limits)
            .await
            .expect("a free port");
        let address = listener.local_addr();
        let (shutdown, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(listener.serve(router, async {
            let _ = stopped.await;
        }));
        Self {
            address,
            shared,
            content,
            shutdown: Some(shutdown),
            server,
        }
    }

    async fn connect(&self) -> Client {
        Client::connect(self.address).await
    }

    /// Makes the file so long that no answer with all of it fits the sockets.
    fn lengthen(&self) {
        self.shared.file.set_len(ENDLESS).expect("a sparse file");
    }
}

fn request(part: &Part) -> String {
    let Part {
        start,
        length,
        step,
    } = part;
    format!("GET /part/{start}/{length}/{step} HTTP/1.1\r\nhost: here\r\n\r\n")
}

/// `GET /part/START/LENGTH/STEP`: the bytes, lent in steps; each fourth step
/// is read instead.
async fn part(
    State(shared): State<Shared>,
    lane: Option<Extension<FileLane>>,
    Path((start, length, step)): Path<(u64, u64, usize)>,
) -> Result<Body, StatusCode> {
    let Extension(lane) = lane.ok_or(StatusCode::NOT_IMPLEMENTED)?;
    Ok(Body::new(Parts {
        shared,
        lane,
        range: start..start + length,
        step,
        steps: 0,
    }))
}

struct Parts {
    shared: Shared,
    lane: FileLane,
    range: Range<u64>,
    step: usize,
    steps: usize,
}

impl http_body::Body for Parts {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        if this.range.is_empty() {
            return Poll::Ready(None);
        }
        let left = (this.range.end - this.range.start) as usize;
        let (start, length) = (this.range.start, left.min(this.step));
        this.range.start += length as u64;
        this.steps += 1;
        let file = Arc::clone(&this.shared.file);
        let bytes = if this.steps.is_multiple_of(4) {
            let mut bytes = vec![0; length];
            std::os::unix::fs::FileExt::read_exact_at(&*file, &mut bytes, start)?;
            bytes.into()
        } else {
            this.lane.lend(file, start, length)
        };
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.range.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.range.end - self.range.start)
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        self.shared.dropped.add_permits(1);
    }
}

/// What a layer would do that reads the bytes it passes on.
async fn copied(State(shared): State<Shared>, Extension(lane): Extension<FileLane>) -> Body {
    let lent = lane.lend(shared.file, 0, 1000);
    Body::from(Bytes::copy_from_slice(&lent))
}

#[derive(Debug, Clone)]
struct Part {
    start: usize,
    length: usize,
    step: usize,
}

impl Part {
    fn of<'a>(&self, content: &'a str) -> &'a str {
        &content[self.start..self.start + self.length]
    }
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let length = prop_oneof![0..50_usize, 4_000..70_000_usize, 0..=LENGTH];
    let step = prop_oneof![
        500..5_000_usize,
        60_000..300_000_usize,
        Just(FileLane::LONGEST)
    ];
    let part = (0..=LENGTH, length, step).prop_map(|(start, length, step)| Part {
        start,
        length: length.min(LENGTH - start),
        step,
    });
    prop::collection::vec(part, 1..12)
}

/// Sends all requests at once, and reads their answers with another one between
/// them that lends nothing.
async fn ask_for_all(world: &World, parts: &[Part]) -> Result<(), TestCaseError> {
    let mut client = world.connect().await;
    let requests: String = parts.iter().map(request).collect();
    let rest = "GET / HTTP/1.1\r\nhost: here\r\n\r\n";
    client.send(&(requests + rest)).await;
    for part in parts {
        let answer = client.answer().await;
        prop_assert_eq!(answer.status, 200);
        prop_assert!(answer.body == part.of(&world.content), "{:?}", part);
    }
    prop_assert_eq!(client.answer().await.body, "hello");
    Ok(())
}

#[test]
fn any_parts_asked_for_on_one_connection_arrive_exactly() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let world = runtime.block_on(World::start(generous(), None));
    let mut runner = TestRunner::new(Config::with_cases(48));
    let tested = runner.run(&parts(), |parts| {
        runtime.block_on(ask_for_all(&world, &parts))
    });
    tested.expect("all parts arrive");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_at_once_get_each_their_own_bytes() {
    let world = Arc::new(World::start(generous(), None).await);
    let readers = (0..16).map(|number| {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            let parts: Vec<_> = (0..4)
                .map(|round| Part {
                    start: number * 1_001 + round,
                    length: LENGTH - number * 50_000 - round,
                    step: FileLane::LONGEST - number,
                })
                .collect();
            ask_for_all(&world, &parts).await
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        within(reader).await.expect("no panic").expect("its bytes");
    }
}

#[tokio::test]
async fn a_client_of_http_1_0_and_a_head_request_are_served_as_ever() {
    let world = World::start(generous(), None).await;
    let mut client = world.connect().await;
    client
        .send("HEAD /part/5/100000/70000 HTTP/1.1\r\nhost: here\r\n\r\n")
        .await;
    // The bytes that the head speaks of do not come.
    let expected = "content-length: 100000\r\n";
    client
        .send("GET / HTTP/1.1\r\nhost: here\r\n\r\nGET / HTTP/1.1\r\nhost: here\r\n\r\n")
        .await;
    let head = client.head().await;
    assert!(head.contains(expected), "{head}");
    assert_eq!(client.answer().await.body, "hello");
    assert_eq!(client.answer().await.body, "hello");

    let mut client = world.connect().await;
    client
        .send("GET /part/5/100000/70000 HTTP/1.0\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.body, world.content[5..100_005]);
    client.closed().await;
}

#[tokio::test]
async fn http_2_has_no_lane() {
    let world = World::start(generous(), None).await;
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .build()
        .expect("a client");
    let url = format!("http://{}/part/0/100000/70000", world.address);
    let answer = client.get(url).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::NOT_IMPLEMENTED);
}

#[tokio::test]
async fn tls_has_no_lane() {
    let folder = tempfile::tempdir().expect("a folder");
    let pem = super::tls::write_certificate(folder.path());
    let world = World::start(generous(), Some(super::tls::load(folder.path()))).await;
    let client = super::tls::client_that_trusts(&pem)
        .http1_only()
        .build()
        .expect("a client");
    let port = world.address.port();
    let url = format!("https://localhost:{port}/part/0/100000/70000");
    let answer = client.get(url).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::NOT_IMPLEMENTED);
}

#[tokio::test]
async fn a_reader_that_stops_is_cut_off() {
    let world = World::start(
        Limits {
            progress_timeout: Duration::from_millis(200),
            ..generous()
        },
        None,
    )
    .await;
    world.lengthen();
    let mut client = world.connect().await;
    client
        .send(&format!(
            "GET /part/0/{ENDLESS}/1000000 HTTP/1.1\r\nhost: here\r\n\r\n"
        ))
        .await;
    signalled(&world.shared.dropped).await;
    client.closed().await;
    assert_eq!(world.connect().await.get("/").await.body, "hello");
}

#[tokio::test]
async fn a_file_that_ends_early_ends_its_connection_and_no_other() {
    let world = World::start(generous(), None).await;
    world.lengthen();
    let mut other = world.connect().await;
    assert_eq!(other.get("/").await.body, "hello");
    let mut client = world.connect().await;
    client
        .send(&format!(
            "GET /part/0/{ENDLESS}/1000000 HTTP/1.1\r\nhost: here\r\n\r\n"
        ))
        .await;
    client.head().await;
    world.shared.file.set_len(0).expect("truncated");
    let received = client.rest().await;
    assert!((received as u64) < ENDLESS, "bytes that were not there");
    signalled(&world.shared.dropped).await;
    assert_eq!(other.get("/").await.body, "hello");
}

#[tokio::test]
async fn a_copy_of_what_stands_for_a_file_never_leaves() {
    let world = World::start(generous(), None).await;
    let mut client = world.connect().await;
    client
        .send("GET /copied HTTP/1.1\r\nhost: here\r\n\r\n")
        .await;
    assert_eq!(client.rest().await, 0, "zeros were sent");
    assert_eq!(world.connect().await.get("/").await.body, "hello");
}

#[tokio::test]
async fn an_answer_on_its_way_is_finished_before_the_server_ends() {
    let mut world = World::start(generous(), None).await;
    world.lengthen();
    let mut client = world.connect().await;
    client
        .send(&format!(
            "GET /part/0/{ENDLESS}/1000000 HTTP/1.1\r\nhost: here\r\n\r\n"
        ))
        .await;
    client.head().await;
    world.shutdown.take();
    assert_eq!(client.rest().await as u64, ENDLESS);
    let drained = within(world.server).await.expect("no panic");
    assert_eq!(drained, Drained { cut_off: 0 });
}
