//! Running `strace` around a server, and ending both.
//!
//! # What dies when
//! The server (or, attached, the tracer) is started by a keeper thread that
//! lives as long as the value, with the parent-death signal set: when the value
//! is dropped or the test process is killed, the kernel kills the child. The
//! signal is tied to the thread that started the child, hence the keeper.
//!
//! The tracer writes into a FIFO; its end of file says that the tracer is gone
//! and nothing more will come.

use std::{
    ffi::OsStr,
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
    thread::{self, JoinHandle},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{CWD, FileType, Mode, OFlags, mknodat},
    io::Errno,
    process::{Pid, Signal, kill_process},
};
use tempfile::TempDir;

use super::trace::{NotATrace, Trace};

/// The system calls that are recorded.
pub const TRACED_CALLS: &str = "read,recvfrom,write,pwrite64,writev,pwritev,pwritev2,sendto,\
    sendmsg,fsync,fdatasync,rename,renameat,renameat2,openat,sync_file_range,close";

/// How many bytes of a payload are recorded.
pub const PAYLOAD_BYTES: usize = 64;

/// Why a trace could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum TracerError {
    /// Are `strace` and `setpriv` installed, is the server where it should be?
    #[error("cannot run `{program}` under strace")]
    Start {
        /// What was to be run.
        program: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Does the process live, may this user trace it?
    #[error("cannot attach strace to process {pid}: {said}")]
    Attach {
        /// The process.
        pid: u32,
        /// What strace said.
        said: String,
    },
    /// The processes could not be signalled or waited for.
    #[error("cannot end the traced process")]
    End(#[source] io::Error),
    /// The trace cannot be read.
    #[error(transparent)]
    NotATrace(#[from] NotATrace),
}

/// A server that runs under `strace` as a child of this process. Dropping it
/// kills the server.
#[derive(Debug)]
pub struct TracedChild {
    child: Child,
    log: Log,
    _keeper: Sender<()>,
}

impl TracedChild {
    /// Runs `program` under `strace`; `configure` adds its arguments,
    /// environment and standard streams, and must not change the program.
    pub fn spawn(
        program: impl AsRef<OsStr>,
        configure: impl FnOnce(&mut Command),
    ) -> Result<Self, TracerError> {
        let program = program.as_ref();
        let error = |source| TracerError::Start {
            program: program.display().to_string(),
            source,
        };
        let log = Log::open().map_err(error)?;
        // -D: the tracer is the grandchild, so the child is the server itself.
        let mut command = tracer("KILL", &log.path());
        command.args(["-D", "--seccomp-bpf", "--"]).arg(program);
        configure(&mut command);
        let (child, keeper) = keep(command).map_err(error)?;
        Ok(Self {
            child,
            log,
            _keeper: keeper,
        })
    }

    /// The server: its process id, its standard streams.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Asks the server to end (`SIGTERM`), so that its drain is traced too.
    pub fn terminate(&self) -> Result<(), TracerError> {
        signal(&self.child, Signal::TERM)
    }

    /// Ends the server at once (`SIGKILL`).
    pub fn kill(&self) -> Result<(), TracerError> {
        signal(&self.child, Signal::KILL)
    }

    /// Waits for the server and all its children to end, and reads the trace.
    pub fn finish(mut self) -> Result<Trace, TracerError> {
        self.wait()?;
        self.log.read()
    }

    /// Waits for the server to end.
    pub fn wait(&mut self) -> Result<ExitStatus, TracerError> {
        self.child.wait().map_err(TracerError::End)
    }
}

impl Drop for TracedChild {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// An `strace` that has joined a running server. Dropping it lets go of the
/// server, which runs on.
#[derive(Debug)]
pub struct AttachedTracer {
    strace: Child,
    log: Log,
    _keeper: Sender<()>,
}

impl AttachedTracer {
    /// Attaches to all threads of the process `pid`; returns when it has.
    pub fn attach(pid: u32) -> Result<Self, TracerError> {
        let failed = |said: String| TracerError::Attach { pid, said };
        let log = Log::open().map_err(|error| failed(error.to_string()))?;
        let mut command = tracer("TERM", &log.path());
        command.arg("-p").arg(pid.to_string());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let (strace, keeper) = keep(command).map_err(|error| failed(error.to_string()))?;
        let mut attached = Self {
            strace,
            log,
            _keeper: keeper,
        };
        let Some(stderr) = attached.strace.stderr.take() else {
            return Err(failed("it has no standard error".to_owned()));
        };
        let mut stderr = BufReader::new(stderr);
        let mut said = String::new();
        while !said.contains(" attached") {
            let read = stderr.read_line(&mut said);
            if read.map_err(|error| failed(error.to_string()))? == 0 {
                return Err(failed(said.trim().to_owned()));
            }
        }
        // It also tells of every new thread; nobody wants to know, but the pipe
        // must not fill up.
        thread::spawn(move || io::copy(&mut stderr, &mut io::sink()));
        Ok(attached)
    }

    /// Lets go of the server and reads the trace.
    pub fn finish(mut self) -> Result<Trace, TracerError> {
        signal(&self.strace, Signal::TERM)?;
        self.strace.wait().map_err(TracerError::End)?;
        self.log.read()
    }
}

impl Drop for AttachedTracer {
    fn drop(&mut self) {
        end(&mut self.strace);
    }
}

/// `strace` with its options, which gets the signal `on_death` when its keeper
/// is gone.
fn tracer(on_death: &str, log: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", on_death, "strace", "-f", "-ttt", "-y"]);
    command.arg("-s").arg(PAYLOAD_BYTES.to_string());
    command.arg("-e").arg(format!("trace={TRACED_CALLS}"));
    command.arg("-o").arg(log);
    command
}

/// Starts a child from a thread that ends when the sender is dropped.
fn keep(mut command: Command) -> io::Result<(Child, Sender<()>)> {
    let (keeper, released) = channel::<()>();
    let (started, result) = channel();
    thread::Builder::new()
        .name("child-keeper".to_owned())
        .spawn(move || {
            // Nobody waits for the result only if the starting thread is gone.
            let _nobody = started.send(command.spawn());
            wait_for_release(&released);
        })?;
    let child = result.recv().map_err(io::Error::other)??;
    Ok((child, keeper))
}

/// Returns when the other end of the channel is dropped; nothing is ever sent.
fn wait_for_release(released: &Receiver<()>) {
    while released.recv().is_ok() {}
}

fn signal(child: &Child, signal: Signal) -> Result<(), TracerError> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let gone = || TracerError::End(io::ErrorKind::NotFound.into());
    kill_process(pid.ok_or_else(gone)?, signal).map_err(|error| TracerError::End(error.into()))
}

/// Kills and reaps a child that may have ended already.
fn end(child: &mut Child) {
    let _ended_before = child.kill();
    let _reaped_before = child.wait();
}

/// The FIFO of a tracer, and the thread that reads it.
#[derive(Debug)]
struct Log {
    directory: TempDir,
    reader: Option<JoinHandle<io::Result<String>>>,
}

impl Log {
    fn open() -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let path = fifo(&directory);
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?;
        // Opened before the tracer is there, which must not block.
        let mut options = OpenOptions::new();
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
        let file = options.read(true).custom_flags(flags).open(&path)?;
        let reader = thread::Builder::new()
            .name("trace-reader".to_owned())
            .spawn(move || read_to_end(file))?;
        Ok(Self {
            directory,
            reader: Some(reader),
        })
    }

    fn path(&self) -> PathBuf {
        fifo(&self.directory)
    }

    /// Waits until no tracer has the FIFO open, and reads what was written.
    fn read(&mut self) -> Result<Trace, TracerError> {
        self.close().map_err(TracerError::End)?;
        let reader = self.reader.take();
        let text = reader.map_or_else(|| Ok(Ok(String::new())), JoinHandle::join);
        let text = text.unwrap_or_else(|_| Err(io::Error::other("the reader panicked")));
        Ok(Trace::parse(&text.map_err(TracerError::End)?)?)
    }

    /// Opens and closes the writing end, so that the reader sees an end of file
    /// even if the tracer never came so far.
    fn close(&self) -> io::Result<()> {
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
        let mut options = OpenOptions::new();
        let opened = options.write(true).custom_flags(flags).open(self.path());
        match opened {
            // The reader has seen the end already and is gone.
            Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => Ok(()),
            opened => opened.map(drop),
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if self.reader.is_some() {
            // The reader ends with the tracer, which ends with the child.
            let _no_reader = self.close();
        }
    }
}

fn fifo(directory: &TempDir) -> PathBuf {
    directory.path().join("trace")
}

/// Reads until the last writer has closed. Before the first one has opened
/// there is nothing to poll for, and no end of file.
fn read_to_end(mut file: File) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let mut ready = [PollFd::new(&file, PollFlags::IN)];
        match poll(&mut ready, None) {
            Err(Errno::INTR) => continue,
            result => result?,
        };
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
