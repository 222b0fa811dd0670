//! Small programs under a live `strace`.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use landfall_power_cut::syscalls::{
    AttachedTracer, EventMatch, Order, TracedChild, TracerError, Violation,
};

/// Writes, syncs, renames, syncs the directory, answers; `$1` is the port.
const PUSH: &str = "
    set -e
    mkdir staging blobs
    dd if=/dev/zero of=staging/upload bs=4k count=3 conv=fsync status=none
    mv staging/upload blobs/blob
    sync blobs
    exec 3<>/dev/tcp/127.0.0.1/$1
    printf 'HTTP/1.1 201 Created\\r\\n\\r\\n' >&3
";

fn push() -> Order {
    Order::new()
        .then_last(EventMatch::write().under("staging").bind("upload"))
        .then(EventMatch::sync().same_as("upload"))
        .then(
            EventMatch::rename()
                .same_as("upload")
                .to_under("blobs")
                .bind_to("blob"),
        )
        .then(EventMatch::sync().parent_of("blob"))
        .then(EventMatch::write().starting_with("HTTP/1.1 201"))
}

/// Runs a script that answers to a client, and checks its order.
fn run(script: &str) -> Result<(), Violation> {
    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let child = TracedChild::spawn("bash", |command| {
        command.args(["-c", script, "push", &port]);
        command.current_dir(directory.path());
    })
    .unwrap();
    let mut answer = String::new();
    listener
        .accept()
        .unwrap()
        .0
        .read_to_string(&mut answer)
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"));
    push().check(&child.finish().unwrap())
}

#[test]
fn a_program_that_keeps_the_order_passes() {
    if let Err(violation) = run(PUSH) {
        panic!("{violation}");
    }
}

#[test]
fn a_program_that_forgets_a_sync_is_caught() {
    let violation = run(&PUSH.replace("conv=fsync", "")).unwrap_err();
    assert!(
        matches!(&violation, Violation::Missing(report) if report.step == 2),
        "{violation}"
    );
    let violation = run(&PUSH.replace("sync blobs", "true")).unwrap_err();
    assert!(
        matches!(&violation, Violation::Missing(report) if report.step == 4),
        "{violation}"
    );
}

#[test]
fn a_program_that_answers_too_early_is_caught() {
    let script = PUSH.replace("sync blobs", "") + "\nsync blobs\n";
    let violation = run(&script).unwrap_err();
    assert!(
        matches!(&violation, Violation::OutOfOrder(report) if report.step == 5),
        "{violation}"
    );
}

fn is_alive(pid: u32) -> bool {
    // The third field is the state; a zombie is dead.
    fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .starts_with(" Z")
    })
}

/// A program that says that it is there, then echoes lines to a file it syncs.
const SERVER: &str = "
    trap 'echo ending; exit 0' TERM
    echo ready
    while read -r line; do echo $line > out; sync out; echo done; done
";

fn server(command: &mut Command, directory: &Path) {
    command.args(["-c", SERVER]).current_dir(directory);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
}

#[test]
fn a_server_is_asked_to_end_and_its_end_is_in_the_trace() {
    let directory = tempfile::tempdir().unwrap();
    let mut child =
        TracedChild::spawn("bash", |command| server(command, directory.path())).unwrap();
    let mut output = BufReader::new(child.child().stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child.terminate().unwrap();
    assert!(child.wait().unwrap().success());
    let trace = child.finish().unwrap();
    let order = Order::new()
        .then(EventMatch::write().starting_with("ready"))
        .then(EventMatch::write().starting_with("ending"));
    order.check(&trace).unwrap();
}

#[test]
fn a_server_dies_with_its_value() {
    let directory = tempfile::tempdir().unwrap();
    let mut child =
        TracedChild::spawn("bash", |command| server(command, directory.path())).unwrap();
    let mut output = BufReader::new(child.child().stdout.take().unwrap());
    output.read_line(&mut String::new()).unwrap();
    let pid = child.child().id();
    assert!(is_alive(pid));
    drop(child);
    assert!(!is_alive(pid));
}

/// How long a server lives that nobody kills.
const LEFT_ALONE: Duration = Duration::from_secs(30);

#[test]
#[ignore = "the victim of the test below, which starts it"]
fn victim() {
    let mut child = TracedChild::spawn("bash", |command| {
        let script = format!("echo serving; exec sleep {}", LEFT_ALONE.as_secs());
        command.args(["-c", &script]);
    })
    .unwrap();
    child.wait().unwrap();
}

#[test]
fn a_server_dies_with_a_test_that_is_killed() {
    // Takes what the victim cannot remove.
    let temporary = tempfile::tempdir().unwrap();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .env("TMPDIR", temporary.path())
        .args(["--exact", "tracer::victim", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(victim.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("serving") {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0);
    }
    let started = Instant::now();
    victim.kill().unwrap();
    victim.wait().unwrap();
    // The server holds the other end: this returns when it is dead.
    output.read_to_string(&mut String::new()).unwrap();
    assert!(started.elapsed() < LEFT_ALONE / 2);
}

#[test]
fn a_running_server_can_be_joined_and_left() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("bash");
    server(&mut command, directory.path());
    let mut server = command.spawn().unwrap();
    let mut input = server.stdin.take().unwrap();
    let mut output = BufReader::new(server.stdout.take().unwrap());
    let mut said = String::new();
    output.read_line(&mut said).unwrap();

    let tracer = AttachedTracer::attach(server.id()).unwrap();
    input.write_all(b"hello\n").unwrap();
    output.read_line(&mut said).unwrap();
    let trace = tracer.finish().unwrap();
    assert!(is_alive(server.id()));
    Order::new()
        .then(
            EventMatch::write()
                .ends_with("out")
                .starting_with("hello")
                .bind("out"),
        )
        .then(EventMatch::sync().same_as("out"))
        .then(EventMatch::write().starting_with("done"))
        .check(&trace)
        .unwrap();

    // It answers on, now without the tracer.
    input.write_all(b"again\n").unwrap();
    output.read_line(&mut said).unwrap();
    assert_eq!(said, "ready\ndone\ndone\n");
    drop(input);
    assert!(server.wait().unwrap().success());
}

#[test]
fn a_process_that_is_not_there_cannot_be_joined() {
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let error = AttachedTracer::attach(gone.id()).unwrap_err();
    assert!(
        matches!(&error, TracerError::Attach { said, .. } if said.contains("attach")),
        "{error}"
    );
}

#[test]
fn a_program_that_is_not_there_leaves_an_empty_trace_and_does_not_hang() {
    let mut child = TracedChild::spawn("no-such-program-anywhere", |command| {
        command.stderr(Stdio::null());
    })
    .unwrap();
    assert!(!child.wait().unwrap().success());
    assert!(child.finish().unwrap().events().is_empty());
}
