//! The order of a push, asserted on a recorded trace and on spoilt copies of it.
//!
//! `traces/push.txt` is of a program with three threads: one writes and renames
//! a blob, one commits to a database in WAL mode, the main one commits last and
//! answers.

use landfall_power_cut::syscalls::{Call, EventMatch, Order, Target, Trace, Violation};

const PUSH: &str = include_str!("traces/push.txt");

/// What a registry promises of a push.
fn push() -> Order {
    let wal = "metadata.sqlite-wal";
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
        .then(EventMatch::write().ends_with(wal))
        .then(EventMatch::sync().ends_with(wal))
        .then(EventMatch::write().starting_with("HTTP/1.1 201"))
}

fn check(text: &str) -> Result<(), Violation> {
    push().check(&Trace::parse(text).unwrap())
}

/// The recorded push without the lines that contain one of the patterns.
fn without(patterns: &[&str]) -> String {
    let keeps = |line: &&str| !patterns.iter().any(|pattern| line.contains(pattern));
    PUSH.split_inclusive('\n').filter(keeps).collect()
}

/// The recorded push with the lines that contain `moved` put before the first
/// line that contains `before`.
fn with_moved(moved: &str, before: &str) -> String {
    let lines = PUSH
        .split_inclusive('\n')
        .filter(|line| line.contains(moved));
    let lines: String = lines.collect();
    assert!(!lines.is_empty());
    let rest = without(&[moved]);
    let place = rest
        .lines()
        .find(|line| line.contains(before))
        .unwrap()
        .to_owned();
    rest.replacen(&place, &format!("{lines}{place}"), 1)
}

fn missing_step(text: &str) -> usize {
    match check(text) {
        Err(Violation::Missing(report)) => report.step,
        other => panic!("expected a missing step: {other:?}"),
    }
}

fn misplaced_step(text: &str) -> usize {
    match check(text) {
        Err(Violation::OutOfOrder(report)) => report.step,
        other => panic!("expected a misplaced step: {other:?}"),
    }
}

const ANSWER: &str = "HTTP/1.1 201";
const RENAME: &str = "rename(\"";
const SYNC_BLOB: &str = "fdatasync(12</data/staging/0197-upload>";
const SYNC_DIRECTORY: &str = "fsync(13</data/blobs/sha256>";

#[test]
fn the_recorded_push_is_read_completely() {
    let trace = Trace::parse(PUSH).unwrap();
    let count = |matcher: &EventMatch| {
        trace
            .events()
            .iter()
            .filter(|event| matcher.matches(event))
            .count()
    };
    assert_eq!(count(&EventMatch::write().under("staging")), 3);
    assert_eq!(count(&EventMatch::sync()), 12);
    assert_eq!(count(&EventMatch::rename()), 1);
    assert_eq!(count(&EventMatch::open().ends_with("0197-upload")), 1);
    let answer = EventMatch::write().starting_with(ANSWER);
    let answer = trace
        .events()
        .iter()
        .find(|event| answer.matches(event))
        .unwrap();
    let Call::Write {
        target: Target::Other(socket),
        start,
    } = &answer.call
    else {
        panic!("not to a socket: {answer}");
    };
    assert!(socket.starts_with("socket:["));
    assert!(start.ends_with(b"\r\n\r\n"), "both buffers are one payload");
}

#[test]
fn the_recorded_push_keeps_the_order() {
    if let Err(violation) = check(PUSH) {
        panic!("{violation}");
    }
}

#[test]
fn every_step_that_did_not_happen_is_named() {
    assert_eq!(missing_step(&without(&["layer bytes"])), 1);
    assert_eq!(missing_step(&without(&[SYNC_BLOB])), 2);
    assert_eq!(missing_step(&without(&[RENAME])), 3);
    assert_eq!(missing_step(&without(&[SYNC_DIRECTORY])), 4);
    assert_eq!(missing_step(&without(&["metadata.sqlite-wal"])), 5);
    assert_eq!(missing_step(&without(&[ANSWER])), 7);
}

#[test]
fn every_step_in_the_wrong_place_is_named() {
    let after_the_rename = with_moved(RENAME, SYNC_BLOB);
    assert_eq!(misplaced_step(&after_the_rename), 3);
    // Sync, then write again: the last write is not covered.
    let late_write = with_moved(SYNC_BLOB, "0197-upload>, \"layer");
    assert_eq!(misplaced_step(&late_write), 2);
    assert_eq!(misplaced_step(&with_moved(SYNC_DIRECTORY, RENAME)), 4);
    assert_eq!(misplaced_step(&with_moved(ANSWER, RENAME)), 7);
    assert_eq!(misplaced_step(&with_moved(ANSWER, SYNC_BLOB)), 7);
}

#[test]
fn a_sync_that_failed_is_no_sync() {
    let failing = PUSH.replace(
        "643 1795531595.634040 <... fdatasync resumed>) = 0",
        "643 1795531595.634040 <... fdatasync resumed>) = -1 EIO (Input/output error)",
    );
    assert_ne!(failing, PUSH);
    assert_eq!(missing_step(&failing), 2);
}

#[test]
fn a_sync_that_has_not_ended_when_the_next_step_begins_is_too_late() {
    let text = "\
        1 1.000001 write(3</d/staging/x>, \"a\", 1) = 1\n\
        1 1.000002 fsync(3</d/staging/x> <unfinished ...>\n\
        2 1.000003 rename(\"/d/staging/x\", \"/d/blobs/y\") = 0\n\
        1 1.000004 <... fsync resumed>) = 0\n";
    let order = Order::new()
        .then(EventMatch::write().bind("file"))
        .then(EventMatch::sync().same_as("file"))
        .then(EventMatch::rename().same_as("file"));
    let violation = order.check(&Trace::parse(text).unwrap()).unwrap_err();
    assert!(matches!(&violation, Violation::OutOfOrder(report) if report.step == 3));
}

#[test]
fn the_sync_of_another_upload_does_not_count() {
    let text = "\
        1 1.000001 write(3</d/staging/x>, \"a\", 1) = 1\n\
        2 1.000002 write(4</d/staging/z>, \"a\", 1) = 1\n\
        2 1.000003 fsync(4</d/staging/z>) = 0\n\
        1 1.000004 rename(\"/d/staging/x\", \"/d/blobs/y\") = 0\n";
    let order = Order::new()
        .then_last(EventMatch::write().under("staging").bind("file"))
        .then(EventMatch::sync().same_as("file"))
        .then(EventMatch::rename().same_as("file"));
    assert!(order.check(&Trace::parse(text).unwrap()).is_err());
    let kept = text.replace("fsync(4</d/staging/z>)", "fsync(3</d/staging/x>)");
    assert!(order.check(&Trace::parse(&kept).unwrap()).is_ok());
}

#[test]
fn a_violation_shows_the_steps_the_event_and_what_is_around_it() {
    let violation = check(&with_moved(ANSWER, RENAME)).unwrap_err();
    let text = violation.to_string();
    assert!(
        text.contains("a step is out of order: step 7 of 7"),
        "{text}"
    );
    assert!(
        text.contains("-> 7. write that starts with `HTTP/1.1 201`"),
        "{text}"
    );
    assert!(
        text.contains("   2. fsync or fdatasync of the path bound to `upload`"),
        "{text}"
    );
    assert!(text.contains("misplaced: line"), "{text}");
    assert!(text.contains("!! line"), "{text}");
    assert!(
        text.contains("rename(\"/data/staging/0197-upload\""),
        "{text}"
    );

    let text = check(&without(&[SYNC_DIRECTORY])).unwrap_err().to_string();
    assert!(text.contains("a step is missing: step 4 of 7"), "{text}");
    assert!(text.contains(" * line"), "{text}");
    assert!(
        text.contains(ANSWER) && text.contains("fdatasync(9</data/metadata.sqlite-wal>"),
        "{text}"
    );
}
