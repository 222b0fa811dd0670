//! How long a server takes from its start until it says that it is ready.

use std::{
    fs::File,
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Error, Result, wire::Connection};

/// How often it is asked.
const LOOK: Duration = Duration::from_micros(500);
/// How long it may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// Starts `command`, whose output goes to `log`, and answers how long it took
/// until `GET /readyz` was answered with 200. The server is ended again.
pub fn run(address: SocketAddr, command: &[String], log: &Path) -> Result<Duration> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Error::Usage("no server to start was given".to_owned()));
    };
    let starting = Error::io("starting the server");
    let output = File::create(log).map_err(&starting)?;
    let errors = output.try_clone().map_err(&starting)?;
    let started = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .map_err(&starting)?;
    let ready = wait(address, &mut child, started);
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It may have ended already.
        let _ = kill_process(pid, Signal::TERM);
    }
    child.wait().map_err(Error::io("ending the server"))?;
    ready
}

fn wait(address: SocketAddr, child: &mut Child, started: Instant) -> Result<Duration> {
    while started.elapsed() < PATIENCE {
        if TcpStream::connect(address).is_ok() {
            let answer = Connection::open(address, None)
                .and_then(|mut connection| connection.ask("GET", "/readyz", None, b""));
            if answer.is_ok_and(|answer| answer.status == 200) {
                return Ok(started.elapsed());
            }
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Err(Error::Usage(format!("the server ended with {status}")));
        }
        thread::sleep(LOOK);
    }
    Err(Error::Usage(format!(
        "the server was not ready after {} s",
        PATIENCE.as_secs()
    )))
}
