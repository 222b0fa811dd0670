//! An S3 server for tests: Ceph's gateway, over a store in memory.
//!
//! [`bucket`] gives an empty bucket on a server that all tests share. It starts
//! within a second or two, ends with the process that has started it, and
//! enforces what S3 enforces: signatures, parts of 5 MiB, conditions.

use std::{
    fmt,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// Where `./test` tells the server that it has started: its endpoint, such as
/// `http://127.0.0.1:7480`.
const SHARED: &str = "LANDFALL_TEST_S3_URL";

/// The SHA-256 of nothing, which a signed request without a body carries.
const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A bucket, and who may use it. The bucket is for whoever holds this value.
#[derive(Debug, Clone)]
pub struct S3Target {
    /// The server: `http://127.0.0.1:<port>`.
    pub endpoint: String,
    /// The name of the bucket.
    pub bucket: String,
    /// The id of the access key.
    pub key: String,
    /// The secret of the access key.
    pub secret: String,
    /// The region that requests are signed for.
    pub region: String,
}

impl S3Target {
    /// The bucket as a URL. The key is not in it.
    pub fn url(&self) -> String {
        let Self {
            endpoint,
            bucket,
            region,
            ..
        } = self;
        format!("s3://{bucket}?endpoint={endpoint}&region={region}")
    }

    /// The same bucket for a user of the server who may do nothing with it.
    #[must_use]
    pub fn as_stranger(&self) -> Self {
        Self {
            key: "stranger".to_owned(),
            secret: "stranger-secret".to_owned(),
            ..self.clone()
        }
    }
}

/// A fresh, empty bucket on the server that the tests share.
pub fn bucket() -> S3Target {
    static OWN: OnceLock<Server> = OnceLock::new();
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let endpoint = std::env::var(SHARED).unwrap_or_else(|_| OWN.get_or_init(start).to_string());
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    // The number of a process may come again while the server lives.
    let nanoseconds = std::time::UNIX_EPOCH
        .elapsed()
        .map_or(0, |since| since.subsec_nanos());
    let target = S3Target {
        endpoint,
        bucket: format!("test-{}-{number}-{nanoseconds}", std::process::id()),
        key: "landfall".to_owned(),
        secret: "landfall-secret".to_owned(),
        region: "us-east-1".to_owned(),
    };
    create(&target);
    target
}

/// Makes the bucket.
fn create(target: &S3Target) {
    let S3Target {
        endpoint,
        bucket,
        key,
        secret,
        region,
    } = target;
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--fail-with-body"])
        .args(["--aws-sigv4", &format!("aws:amz:{region}:s3")])
        .args(["--user", &format!("{key}:{secret}")])
        .args(["--header", &format!("x-amz-content-sha256: {NOTHING}")])
        .args(["--request", "PUT", &format!("{endpoint}/{bucket}")])
        .env_remove("AWS_CA_BUNDLE")
        .stdin(Stdio::null())
        .output()
        .expect("curl can be started (Debian: curl)");
    assert!(
        output.status.success(),
        "making a bucket failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}

/// The shell that holds the servers, and ends them when its input ends.
struct Server {
    _shell: Child,
    _input: ChildStdin,
    port: u16,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://127.0.0.1:{}", self.port)
    }
}

fn start() -> Server {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    let directory = parent.join(format!("landfall-ceph-{}", std::process::id()));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/ceph.sh");
    let mut shell = Command::new("bash")
        .args(["-ec", "source \"$1\"; ceph_hold \"$2\" 2>&1", "ceph"])
        .args([&script, &directory])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("bash can be started");
    let input = shell.stdin.take().expect("the input is a pipe");
    let mut output = BufReader::new(shell.stdout.take().expect("the output is a pipe"));
    let mut answer = String::new();
    output.read_line(&mut answer).expect("text");
    let port = answer.trim_end().parse().unwrap_or_else(|_| {
        // All that it says, until it has ended.
        output.read_to_string(&mut answer).expect("text");
        panic!("the S3 server did not start: {answer}")
    });
    Server {
        _shell: shell,
        _input: input,
        port,
    }
}
