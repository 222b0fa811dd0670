//! The order of system calls behind an answer, read from a traced server.
//!
//! A success is sent only after the bytes are durable, then their name, then
//! the row that names them. The tests of killing and of power cuts show that
//! nothing is lost; these show that it is no luck.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
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
/// A server that has committed nothing for so long has nothing left to do.
const QUIET: Duration = Duration::from_millis(400);
const QUIET_WITHIN: Duration = Duration::from_secs(30);

/// A server of which single requests are traced.
struct Traced {
    runtime: Runtime,
    client: Client,
    server: Server,
    folder: TempDir,
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
            folder,
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

    /// What the server did from when it had read the head of a request.
    fn trace(
        &self,
        method: &str,
        request: impl Future<Output = Result<Answer, Lost>>,
        status: u16,
    ) -> Trace {
        self.wait_until_quiet();
        let tracer = AttachedTracer::attach(self.server.pid()).expect("strace joins the server");
        let answer = self.runtime.block_on(request).expect("an answer");
        let trace = tracer.finish().expect("a trace");
        assert_eq!(answer.status, status, "{}", answer.told());
        let read = EventMatch::read().starting_with(format!("{method} /v2/"));
        trace.from_match(&read, 1)
    }

    /// What earlier requests have left to do in the background is done: the
    /// next commit is the one of the next request.
    fn wait_until_quiet(&self) {
        let wal = self.folder.path().join("data").join(WAL);
        let limit = Instant::now() + QUIET_WITHIN;
        let is_quiet = || {
            let changed = fs::metadata(&wal).and_then(|wal| wal.modified());
            let changed = changed.expect("the log of a running server");
            changed.elapsed().is_ok_and(|elapsed| elapsed > QUIET)
        };
        while !is_quiet() {
            assert!(Instant::now() < limit, "the server goes on committing");
            thread::sleep(Duration::from_millis(10));
        }
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
///
/// The transaction is the first one after the steps before it. Later ones may
/// come before the answer: who numbers events and counts usage begins when the
/// request has committed. They stand for nothing here.
fn committed(order: Order, status: u16) -> Order {
    order
        .then(EventMatch::write().ends_with(WAL))
        .then(EventMatch::sync().ends_with(WAL))
        .then(EventMatch::write().starting_with(format!("HTTP/1.1 {status}")))
}

#[test]
fn an_answer_before_the_sync_of_its_own_transaction_breaks_the_order() {
    let write = "1 1.000001 pwrite64(9</d/landfall.db-wal>, \"a\", 1, 32) = 1\n";
    let sync = "1 1.000002 fdatasync(9</d/landfall.db-wal>) = 0\n";
    let answer = "2 1.000003 sendto(5<socket:[1]>, \"HTTP/1.1 201 Created\", 20) = 20\n";
    let is_kept = |lines: &[&str]| {
        let trace = Trace::parse(&lines.concat()).expect("a trace");
        committed(Order::new(), 201).check(&trace).is_ok()
    };
    assert!(is_kept(&[write, sync, answer]));
    // Another transaction follows, and is not durable yet.
    assert!(is_kept(&[write, sync, write, answer, sync]));
    assert!(!is_kept(&[write, answer, sync]));
    assert!(!is_kept(&[write, answer, sync, write, sync]));
    assert!(!is_kept(&[answer, write, sync, answer]));
    assert!(!is_kept(&[sync, write, answer]));
    assert!(!is_kept(&[sync, answer]));
    let (begun, ended) = sync.split_once(')').expect("a call");
    let begun = format!("{begun} <unfinished ...>\n");
    let ended = format!("1 1.000004 <... fdatasync resumed>){ended}");
    assert!(is_kept(&[write, &begun, &ended, answer]));
    assert!(!is_kept(&[write, &begun, answer, &ended]));
}

#[test]
fn a_blob_in_one_request_is_durable_before_its_201() {
    let traced = Traced::start();
    // More than one batch of the writer.
    for size in [100, 3_000_000] {
        let blob = Blob::new(size, size);
        let push = traced.client.push_whole(REPOSITORY, &blob);
        assert_kept(
            &committed(promoted(), 201),
            &traced.trace("POST", push, 201),
        );
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
    let trace = traced.trace("POST", push, 201);
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
    assert_kept(&committed(order, 202), &traced.trace("PATCH", first, 202));
    // The name of the staged file is durable already.
    let second = traced
        .client
        .patch(&path, 20_000, blob.part(20_000, 40_000));
    assert_kept(
        &committed(staged(), 202),
        &traced.trace("PATCH", second, 202),
    );
    let last = traced
        .client
        .finish(&path, &blob.digest, blob.part(40_000, 50_000));
    assert_kept(&committed(promoted(), 201), &traced.trace("PUT", last, 201));
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
    assert_kept(&committed(order, 201), &traced.trace("PUT", last, 201));
}

#[test]
fn manifests_and_everything_that_only_the_database_knows_are_durable_before_their_answer() {
    let traced = Traced::start();
    let (config, layer) = (Blob::new(1, 100), Blob::new(2, 1000));
    traced.push(&config);
    traced.push(&layer);
    let image = Image::new(config, &[layer]);
    let client = &traced.client;
    let pushed = traced.trace(
        "PUT",
        client.push_manifest(REPOSITORY, "latest", &image),
        201,
    );
    assert_kept(&committed(Order::new(), 201), &pushed);
    let begun = async {
        client
            .start_upload(REPOSITORY)
            .await
            .map(|(answer, _)| answer)
    };
    assert_kept(
        &committed(Order::new(), 202),
        &traced.trace("POST", begun, 202),
    );
    let mount = format!(
        "/v2/trace/other/blobs/uploads/?mount={}&from={REPOSITORY}",
        layer.digest
    );
    let mounted = traced.trace("POST", client.post(&mount, bytes::Bytes::new()), 201);
    assert_kept(&committed(Order::new(), 201), &mounted);
    let path = format!("/v2/{REPOSITORY}/manifests/{}", image.digest);
    let deleted = traced.trace("DELETE", client.delete(&path), 202);
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
    // What it does later, or when it ends, stands for nothing.
    let trace = trace.up_to(&ready());
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
        // The master key.
        Order::new()
            .then_last(EventMatch::write().under(data.join("keys")).bind("key"))
            .then(EventMatch::sync().same_as("key"))
            .then(EventMatch::rename().same_as("key"))
            .then(synced(&data.join("keys")))
            .then(ready()),
        // The administrator, who is made after the last directory.
        Order::new()
            .then_last(synced(&data))
            .then(EventMatch::write().ends_with(WAL))
            .then(EventMatch::sync().ends_with(WAL))
            .then(ready()),
    ];
    for order in orders {
        assert_kept(&order, &trace);
    }
}
