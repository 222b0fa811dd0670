//! PostgreSQL for tests.
//!
//! [`fresh`] gives an empty database on a cluster that all tests share. A test
//! that stops its server needs a [`Cluster`] of its own.
//!
//! The databases sort texts as English does, not by their bytes, so that code
//! which relies on an order has to ask for it.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    io::{BufRead, BufReader, Read, Write},
    ops::Deref,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Where `./test` tells the cluster that it has started: the URL of a user who
/// may make databases.
const SHARED: &str = "LANDFALL_TEST_POSTGRES_URL";

/// The URL of a database. The database is for whoever holds this value.
#[derive(Debug, Clone)]
pub struct PostgresUrl(String);

impl Deref for PostgresUrl {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A fresh, empty database on the cluster that the tests share.
pub fn fresh() -> PostgresUrl {
    static OWN: OnceLock<Cluster> = OnceLock::new();
    match std::env::var(SHARED) {
        Ok(url) => create_database(&url),
        Err(_) => OWN.get_or_init(Cluster::start).fresh(),
    }
}

/// Runs SQL on a database with the command-line client, and returns what it
/// prints: one line for each row, columns separated by `|`.
pub fn sql(url: &str, sql: &str) -> String {
    let output = Command::new("psql")
        .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
        .args(["--set=ON_ERROR_STOP=1", "--dbname", url, "--command", sql])
        .env("PGOPTIONS", "--client-min-messages=warning")
        .stdin(Stdio::null())
        .output()
        .expect("psql can be started (Debian: postgresql-client)");
    assert!(
        output.status.success(),
        "psql failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Makes a database beside the one that `url` names.
fn create_database(url: &str) -> PostgresUrl {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    // The number of a process may come again while the cluster lives.
    let run = RandomState::new().hash_one(number) % 1_000_000;
    let name = format!("test_{}_{number}_{run}", std::process::id());
    sql(url, &format!("create database {name} template template0"));
    let server = url.rsplit_once('/').map_or(url, |(server, _)| server);
    PostgresUrl(format!("{server}/{name}"))
}

static NEXT_CLUSTER: AtomicU64 = AtomicU64::new(0);

/// A cluster that belongs to one test, which may stop and start it.
#[derive(Debug)]
pub struct Cluster {
    shell: Mutex<Shell>,
    directory: PathBuf,
    port: u16,
}

/// The shell that holds the server, and stops it when its input ends.
#[derive(Debug)]
struct Shell {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Cluster {
    /// Makes and starts a cluster.
    pub fn start() -> Self {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let number = NEXT_CLUSTER.fetch_add(1, Ordering::Relaxed);
        let directory = parent.join(format!("landfall-pg-{}-{number}", std::process::id()));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/postgres.sh");
        let mut child = Command::new("bash")
            .args([
                "-ec",
                "source \"$1\"; postgres_hold \"$2\" 2>&1",
                "postgres",
            ])
            .args([&script, &directory])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash can be started");
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let mut shell = Shell {
            child,
            input,
            output: BufReader::new(output.expect("the output is a pipe")),
        };
        let answer = shell.line();
        let port = answer.parse().unwrap_or_else(|_| {
            let more: Vec<_> = shell
                .output
                .by_ref()
                .lines()
                .map_while(Result::ok)
                .collect();
            panic!("PostgreSQL did not start: {answer}\n{}", more.join("\n"))
        });
        Self {
            shell: Mutex::new(shell),
            directory,
            port,
        }
    }

    /// The URL of the cluster's first database.
    pub fn url(&self) -> PostgresUrl {
        PostgresUrl(format!(
            "postgres://landfall:test@127.0.0.1:{}/postgres",
            self.port
        ))
    }

    /// A fresh, empty database.
    pub fn fresh(&self) -> PostgresUrl {
        create_database(&self.url())
    }

    /// The folder that holds the socket, and the cluster below `data`.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The port, also a part of the socket's name.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops the server: connections are ended at once, as by an operator.
    pub fn stop(&self) {
        self.command("stop fast");
    }

    /// Kills the server without any preparation, as a crash would.
    pub fn crash(&self) {
        self.command("stop immediate");
    }

    /// Starts the server again, on the same port.
    pub fn resume(&self) {
        self.command("start");
    }

    fn command(&self, command: &str) {
        let mut shell = self.shell.lock().unwrap_or_else(PoisonError::into_inner);
        let input = shell.input.as_mut().expect("open until the cluster goes");
        writeln!(input, "{command}").expect("the shell reads its commands");
        let answer = shell.line();
        assert_eq!(answer, "done", "`{command}` failed");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let shell = self.shell.get_mut().unwrap_or_else(PoisonError::into_inner);
        shell.input = None;
        // It stops the server and ends; how does not matter to anybody.
        let _ = shell.child.wait();
    }
}

impl Shell {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .expect("the shell writes text");
        line.trim_end().to_owned()
    }
}
