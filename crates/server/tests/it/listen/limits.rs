//! Many connections, large heads, too few descriptors.

use std::{net::SocketAddr, process::Command};

use landfall_server::listen::{Limits, raise_open_files};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpStream;

use super::{World, client::Client, generous, within};

#[tokio::test]
async fn handlers_see_who_asks() {
    let world = World::start(generous()).await;
    let mut client = world.connect().await;
    let expected = format!("{} false", client.address());
    assert_eq!(client.get("/peer").await.body, expected);
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let world = World::start(generous()).await;
    let mut client = world.connect().await;
    for _ in 0..3 {
        assert_eq!(client.get("/").await.body, "hello");
    }
    // Two at once (RFC 9112 section 9.3.2).
    let request = "GET / HTTP/1.1\r\nhost: here\r\n\r\n";
    client.send(&request.repeat(2)).await;
    assert_eq!(client.answer().await.body, "hello");
    assert_eq!(client.answer().await.body, "hello");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let world = World::start(generous()).await;
    let mut client = world.connect().await;
    let large = "x".repeat(70_000);
    let head = format!("GET / HTTP/1.1\r\nhost: here\r\na: {large}\r\n\r\n");
    // The server may answer and close before it has read all of it.
    let _ = client.try_send(head.as_bytes()).await;
    assert_eq!(client.answer().await.status, 431);

    let http2 = reqwest::Client::builder()
        .http2_prior_knowledge()
        .build()
        .expect("a client");
    let large = "x".repeat(40_000);
    let answer = http2.get(world.url("/")).header("a", large).send().await;
    match answer {
        Ok(answer) => assert_eq!(answer.status().as_u16(), 431),
        // The client may know the limit from our SETTINGS and not even ask.
        Err(error) => assert!(error.is_request(), "{error:?}"),
    }
    let small = http2.get(world.url("/")).send().await.expect("an answer");
    assert_eq!(small.status().as_u16(), 200);
}

#[tokio::test]
async fn at_the_limit_the_longest_idle_connection_makes_room() {
    let world = World::start(Limits {
        max_connections: 2,
        ..generous()
    })
    .await;
    let mut first = world.connect().await;
    assert_eq!(first.get("/").await.status, 200);
    let mut second = world.connect().await;
    assert_eq!(second.get("/").await.status, 200);
    let mut third = world.connect().await;
    assert_eq!(third.get("/").await.body, "hello");
    first.closed().await;
    assert_eq!(second.get("/").await.body, "hello");
}

/// How many connections the idle test opens, if the limit of open files has
/// room for both ends of each.
const MANY: u64 = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_idle_connections_are_held_in_little_memory() {
    let files = raise_open_files().expect("within the hard limit").now;
    let count = files.map_or(MANY, |files| MANY.min(files.saturating_sub(1000) / 2));
    assert!(count >= 5000, "too few open files for this test: {files:?}");
    let world = World::start(Limits {
        max_connections: usize::MAX,
        ..generous()
    })
    .await;
    let before = resident_bytes();
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = world.connect().await;
        assert_eq!(client.get("/").await.status, 200);
        clients.push(client);
    }
    let each = resident_bytes().saturating_sub(before) / count;
    let measured = format!("{count} idle connections of {each} bytes\n");
    // Past the runner's capture: how many it were is part of the result.
    std::io::Write::write_all(&mut std::io::stdout(), measured.as_bytes()).expect("open");
    assert!(each < 32 * 1024, "{measured}");
    for client in [0, clients.len() / 2, clients.len() - 1] {
        assert_eq!(clients[client].get("/").await.body, "hello");
    }
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("proc is mounted");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("a resident size");
    let kibibytes = line.trim().trim_end_matches(" kB").trim();
    kibibytes.parse::<u64>().expect("a number") * 1024
}

/// Set in the process that runs out of descriptors, which must be one of its
/// own.
const CHILD: &str = "LANDFALL_TEST_OUT_OF_DESCRIPTORS";

#[test]
fn without_descriptors_the_server_waits_and_goes_on() {
    if std::env::var_os(CHILD).is_some() {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(run_out_of_descriptors());
        return;
    }
    let this = std::env::current_exe().expect("its path");
    let output = Command::new(this)
        .args(["--exact", "--nocapture"])
        .arg("listen::limits::without_descriptors_the_server_waits_and_goes_on")
        .env(CHILD, "1")
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{output:?}"
    );
}

async fn run_out_of_descriptors() {
    let (said, mut events) = tokio::sync::mpsc::unbounded_channel();
    tracing_subscriber::fmt()
        .with_writer(move || Said(said.clone()))
        .init();
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = Some(64);
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).expect("lower is allowed");
    let world = World::start(generous()).await;
    let mut hoard = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        hoard.push(file);
    }
    hoard.pop();
    let mut client = connect(world.address).await;
    let mut event_with = async |wanted: &str| loop {
        let event: String = within(events.recv()).await.expect("the subscriber lives");
        if event.contains(wanted) {
            return;
        }
    };
    event_with("can't accept connections for now").await;
    drop(hoard);
    assert_eq!(client.get("/").await.body, "hello");
    event_with("accepting connections again").await;
}

async fn connect(address: SocketAddr) -> Client {
    let client = Client::connect(address).await;
    assert!(
        TcpStream::connect(address).await.is_err(),
        "descriptors are left"
    );
    client
}

/// Sends each log line to the test.
struct Said(tokio::sync::mpsc::UnboundedSender<String>);

impl std::io::Write for Said {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        // The test may have seen enough and be gone.
        let _ = self.0.send(String::from_utf8_lossy(line).into_owned());
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
