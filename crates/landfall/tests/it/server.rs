//! A running `landfall serve`, as the tests start and stop it.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use reqwest::{Method, RequestBuilder};

use crate::backends;

/// The administrator's password on every server of the tests.
pub(crate) const PASSWORD: &str = "a secret of the tests";

/// How to start a server.
#[derive(Debug, Default, Clone)]
pub(crate) struct Options {
    /// Environment on top of what every server gets.
    pub(crate) environment: Vec<(String, String)>,
    /// Flags on top of those.
    pub(crate) flags: Vec<String>,
    /// A program that runs the server, such as `strace -f`.
    pub(crate) wrapper: Vec<String>,
}

impl Options {
    /// Sets a variable, such as `LANDFALL_REGISTRY_ANONYMOUS_PULL`.
    #[must_use]
    pub(crate) fn set(mut self, variable: &str, value: &str) -> Self {
        self.environment
            .push((variable.to_owned(), value.to_owned()));
        self
    }
}

/// A server on a free port. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Its URL: `http://127.0.0.1:40000`.
    pub(crate) url: String,
    /// Its data directory.
    pub(crate) data: PathBuf,
}

impl Server {
    /// Starts a server on `data` and waits until it is ready.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, &Options::default())
    }

    /// As [`Server::start`], with options. What the server logs goes to
    /// `<data>.log`.
    pub(crate) fn start_with(data: &Path, options: &Options) -> Self {
        let mut started = Self::try_start(data, options);
        match started.as_mut() {
            Ok(_) => {}
            Err(log) => panic!("the server did not start:\n{log}"),
        }
        started.unwrap_or_else(|_| unreachable!("checked above"))
    }

    /// As [`Server::start_with`]; the server's log if it did not get ready.
    pub(crate) fn try_start(data: &Path, options: &Options) -> Result<Self, String> {
        let log = data.with_extension("log");
        let errors = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&log);
        let program = env!("CARGO_BIN_EXE_landfall");
        let mut words = options.wrapper.iter().map(String::as_str).chain([program]);
        let mut command = Command::new(words.next().unwrap_or(program));
        command
            .args(words)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .args(&options.flags)
            .env_remove("LANDFALL_TEST_POSTGRES_URL")
            .env_remove("LANDFALL_TEST_S3_URL")
            .env("LANDFALL_ADMIN_PASSWORD", PASSWORD)
            .envs(backends::of_suite(data))
            .envs(
                options
                    .environment
                    .iter()
                    .map(|(name, value)| (name, value)),
            )
            .stdout(Stdio::piped())
            .stderr(errors.expect("log file"));
        let mut child = command.spawn().expect("the server's program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let ready = lines.by_ref().map_while(Result::ok).find_map(|line| {
            line.strip_prefix("Landfall is ready at ")
                .map(str::to_owned)
        });
        let Some(url) = ready else {
            let _ = child.wait();
            return Err(std::fs::read_to_string(&log).unwrap_or_default());
        };
        // Nobody reads the rest, and the pipe must not fill up.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Ok(Self {
            child,
            url,
            data: data.to_owned(),
        })
    }

    /// The host and port, as image names begin.
    pub(crate) fn host(&self) -> &str {
        self.url
            .split_once("://")
            .map_or(&self.url, |(_, host)| host)
    }

    /// The process id of what was started: the wrapper's, if there is one.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process has ended, by itself or killed by somebody else.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// What the server logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.data.with_extension("log")).unwrap_or_default()
    }

    /// A request by the administrator to a path of the server.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let client = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("HTTP client");
        client
            .request(method, format!("{}{path}", self.url))
            .basic_auth("admin", Some(PASSWORD))
    }

    /// Runs a command of the program against this server.
    pub(crate) fn landfall<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Output {
        Command::new(env!("CARGO_BIN_EXE_landfall"))
            .args(words)
            .env("LANDFALL_SERVER", &self.url)
            .env("LANDFALL_PASSWORD", PASSWORD)
            .output()
            .expect("the program runs")
    }

    /// Kills the server, as `kill -9` does, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.kill_in_place();
    }

    /// As [`Server::kill`], where another one takes its place.
    pub(crate) fn kill_in_place(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks the server to stop, waits for it, and tells whether it ended well.
    pub(crate) fn stop(mut self) -> bool {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        let asked =
            pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::TERM));
        assert!(matches!(asked, Some(Ok(()))), "the server is gone already");
        self.child.wait().is_ok_and(|status| status.success())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
