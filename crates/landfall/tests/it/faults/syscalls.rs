//! The order of system calls behind an answer, read from a traced server.
//!
//! A success is sent only after the bytes are durable, then their name, then
//! the row that names them. The tests of killing and of power cuts show that
//! nothing is lost; these show that it is no luck.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::Stdio,
};

use landfall_power_cut::syscalls::{AttachedTracer, EventMatch, Order, Trace, TracedChild};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{
    client::{Answer, Client, Lost},
    content::{Blob, Image},
};
use crate::server::{Options, PASSWORD, Server};

const REPOSITORY: &str = "trace/images";
const WAL: &str = "landfall.db-wal";

/// A server of which single requests are traced.
struct Traced {
    runtime: Runtime,
    client: Client,
    server: Server,
    _folder: TempDir,
}

impl Traced {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let options = Options::default().set("LANDFALL_GC_INTERVAL", "0");
        let server = Server::start_with(&folder.path().join("data"), &options);
        let traced = Self {
            runtime: Runtime::new().expect("a runtime"),
            client: Client::new(&server.url),
            server,
            _folder: folder,
        };
        // The repository, and the check of the password.
        traced.push(&Blob::new(0, 10));
        traced
    }

    fn push(&self, blob: &Blob) {
        let pushed = self.client.push_whole(REPOSITORY, blob);
        let answer = self.runtime.block_on(pushed).expect("an answer");
        assert_eq!(answer.status, 201, "{}", answer.told());
    }

    /// What the server did for one request.
    fn trace(&self, request: impl Future<Output = Result<Answer, Lost>>, status: u16) -> Trace {
        let tracer = AttachedTracer::attach(self.server.pid()).expect("strace joins the server");
        let answer = self.runtime.block_on(request).expect("an answer");
        let trace = tracer.finish().expect("a trace");
        assert_eq!(answer.status, status, "{}", answer.told());
        trace
    }

    /// An upload that was begun.
    fn upload(&self) -> String {
        let begun = self.client.start_upload(REPOSITORY);
        let (answer, path) = self.runtime.block_on(begun).expect("an answer");
        assert_eq!(answer.status, 202, "{}", answer.told());
        path
    }
}

#[track_caller]
fn assert_kept(order: &Order, trace: &Trace) {
    if let Err(violation) = order.check(trace) {
        panic!("{violation}");
    }
}

/// The bytes of a request are written and synced.
fn staged() -> Order {
    Order::new()
        .then_last(EventMatch::write().under("staging").bind("upload"))
        .then(EventMatch::sync().same_as("upload"))
}

/// As [`staged`], then they get their location.
fn promoted() -> Order {
    staged()
        .then(
            EventMatch::rename()
                .same_as("upload")
                .to_under("blobs/sha256")
                .bind_to("blob"),
        )
        .then(EventMatch::sync().parent_of("blob"))
}

/// The transaction is durable, and then the answer is sent.
fn committed(order: Order, status: u16) -> Order {
    order
        .then_last(EventMatch::write().ends_with(WAL))
        .then(EventMatch::sync().ends_with(WAL))
        .then(EventMatch::write().starting_with(format!("HTTP/1.1 {status}")))
}

#[test]
fn a_blob_in_one_request_is_durable_before_its_201() {
    let traced = Traced::start();
    // More than one batch of the writer.
    for size in [100, 3_000_000] {
        let blob = Blob::new(size, size);
        let push = traced.client.push_whole(REPOSITORY, &blob);
        assert_kept(&committed(promoted(), 201), &traced.trace(push, 201));
    }
}

#[test]
fn the_first_blob_of_its_directory_has_durable_directories_above_it() {
    let traced = Traced::start();
    // The pushed blob of the start has made `sha256` and one directory.
    let seen = Blob::new(0, 10).digest.hex();
    let fresh = (1..).map(|seed| Blob::new(seed, 10));
    let mut fresh = fresh.filter(|blob| blob.digest.hex()[..2] != seen[..2]);
    let blob = fresh.next().expect("there are many");
    let push = traced.client.push_whole(REPOSITORY, &blob);
    let trace = traced.trace(push, 201);
    let order = Order::new()
        .then(EventMatch::sync().ends_with("blobs/sha256"))
        .then(
            EventMatch::rename()
                .to_under("blobs/sha256")
                .bind_to("blob"),
        )
        .then(EventMatch::sync().parent_of("blob"));
    assert_kept(&committed(order, 201), &trace);
}

#[test]
fn the_bytes_of_a_chunk_are_durable_before_its_202() {
    let traced = Traced::start();
    let blob = Blob::new(1, 50_000);
    let path = traced.upload();
    let first = traced.client.patch(&path, 0, blob.part(0, 20_000));
    let order = staged().then(EventMatch::sync().ends_with("staging"));
    assert_kept(&committed(order, 202), &traced.trace(first, 202));
    // The name of the staged file is durable already.
    let second = traced
        .client
        .patch(&path, 20_000, blob.part(20_000, 40_000));
    assert_kept(&committed(staged(), 202), &traced.trace(second, 202));
    let last = traced
        .client
        .finish(&path, &blob.digest, blob.part(40_000, 50_000));
    assert_kept(&committed(promoted(), 201), &traced.trace(last, 201));
}

#[test]
fn a_closing_request_without_bytes_syncs_what_was_sent_before() {
    let traced = Traced::start();
    let blob = Blob::new(1, 20_000);
    let path = traced.upload();
    let sent = traced.client.patch(&path, 0, blob.bytes());
    let sent = traced.runtime.block_on(sent).expect("an answer");
    assert_eq!(sent.status, 202, "{}", sent.told());
    let last = traced.client.finish(&path, &blob.digest, blob.part(0, 0));
    let order = Order::new()
        .then(
            EventMatch::rename()
                .under("staging")
                .to_under("blobs")
                .bind_to("blob"),
        )
        .then(EventMatch::sync().parent_of("blob"));
    assert_kept(&committed(order, 201), &traced.trace(last, 201));
}

#[test]
fn manifests_and_everything_that_only_the_database_knows_are_durable_before_their_answer() {
    let traced = Traced::start();
    let (config, layer) = (Blob::new(1, 100), Blob::new(2, 1000));
    traced.push(&config);
    traced.push(&layer);
    let image = Image::new(config, &[layer]);
    let client = &traced.client;
    let pushed = traced.trace(client.push_manifest(REPOSITORY, "latest", &image), 201);
    assert_kept(&committed(Order::new(), 201), &pushed);
    let begun = async {
        client
            .start_upload(REPOSITORY)
            .await
            .map(|(answer, _)| answer)
    };
    assert_kept(&committed(Order::new(), 202), &traced.trace(begun, 202));
    let mount = format!(
        "/v2/trace/other/blobs/uploads/?mount={}&from={REPOSITORY}",
        layer.digest
    );
    let mounted = traced.trace(client.post(&mount, bytes::Bytes::new()), 201);
    assert_kept(&committed(Order::new(), 201), &mounted);
    let path = format!("/v2/{REPOSITORY}/manifests/{}", image.digest);
    let deleted = traced.trace(client.delete(&path), 202);
    assert_kept(&committed(Order::new(), 202), &deleted);
}

/// A whole life of a server on `data`: from its first call to its last.
fn life(data: &Path) -> Trace {
    let program = env!("CARGO_BIN_EXE_landfall");
    let child = TracedChild::spawn(program, |command| {
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .env("LANDFALL_ADMIN_PASSWORD", PASSWORD)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
    });
    let mut child = child.expect("strace runs the server");
    let output = child.child().stdout.take().expect("piped");
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let ready = lines.any(|line| line.starts_with("Landfall is ready at "));
    assert!(ready, "the server did not start");
    child.terminate().expect("it is asked to end");
    assert!(child.wait().is_ok_and(|status| status.success()));
    child.finish().expect("a trace")
}

#[test]
fn a_first_start_makes_everything_durable_before_it_is_ready() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (parent, data) = (folder.path(), folder.path().join("data"));
    let trace = life(&data);
    let ready = || EventMatch::write().starting_with("Landfall is ready");
    let synced = |path: &Path| EventMatch::sync().ends_with(path);
    let mark = data.join("blobs/store-id");
    let draft = || EventMatch::write().under(data.join("blobs")).bind("draft");
    let orders = [
        // The data directory, and the database in it: its name after its file
        // was made, before the first commit.
        Order::new().then(synced(parent)).then(ready()),
        Order::new()
            .then(EventMatch::open().ends_with("data/landfall.db"))
            .then(EventMatch::open().ends_with(Path::new("data").join(WAL)))
            .then(synced(&data))
            .then(EventMatch::write().ends_with(WAL).bind("log"))
            .then(EventMatch::sync().same_as("log"))
            .then(ready()),
        // The mark of the store.
        Order::new()
            .then_last(draft())
            .then(EventMatch::sync().same_as("draft"))
            .then(EventMatch::rename().same_as("draft").to_ends_with(&mark))
            .then(synced(&data.join("blobs")))
            .then(ready()),
        // The key that signs tokens.
        Order::new()
            .then_last(EventMatch::write().under(data.join("keys")).bind("key"))
            .then(EventMatch::sync().same_as("key"))
            .then(EventMatch::rename().same_as("key"))
            .then(synced(&data.join("keys")))
            .then(ready()),
        // The administrator.
        Order::new()
            .then_last(EventMatch::write().ends_with(WAL))
            .then(EventMatch::sync().ends_with(WAL))
            .then(ready()),
    ];
    for order in orders {
        assert_kept(&order, &trace);
    }
}
