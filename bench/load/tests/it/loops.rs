//! A server that stalls is charged for all that had to wait in an open loop,
//! and for one request only in a closed one.

use std::time::Duration;

use landfall_load::{
    Error,
    manifests::{Options, Plan, Report, prepare, run},
};

use crate::registry::{Faults, Registry};

const STALL: Duration = Duration::from_millis(100);

/// One connection to a server of whose 200 reads one takes 100 ms.
fn read(rate: Option<f64>) -> Report {
    let registry = Registry::start(Faults {
        stall: Some((200, STALL)),
        ..Faults::default()
    });
    let plan = Plan::new("a/b", 10);
    prepare(registry.address, None, &plan).unwrap();
    run(&plan, &options(&registry, rate)).unwrap()
}

fn options(registry: &Registry, rate: Option<f64>) -> Options {
    Options {
        servers: vec![registry.address],
        authorization: None,
        connections: 1,
        rate,
        warm_up: Duration::ZERO,
        duration: Duration::from_millis(600),
        move_every: None,
        may_fail: false,
        processes: Vec::new(),
    }
}

#[test]
fn a_stall_is_charged_to_all_that_were_due_meanwhile() {
    // 500 a second: 200 reads take 400 ms, and 50 of them are due during the
    // stall. They have waited for up to 100 ms, so a tenth of all waited long.
    let open = read(Some(500.0));
    assert_eq!(open.requests, 300, "{open:?}");
    assert!(open.latency.p90_us > 10_000.0, "{open:?}");
    assert!(open.latency.max_us >= 100_000.0, "{open:?}");
}

#[test]
fn a_closed_loop_does_not_notice_who_waits_for_its_turn() {
    let closed = read(None);
    assert!(closed.latency.max_us >= 100_000.0, "{closed:?}");
    assert!(closed.latency.p90_us < 50_000.0, "{closed:?}");
}

#[test]
fn an_answer_of_failure_ends_the_run_or_is_counted() {
    let registry = Registry::start(Faults::default());
    // Nothing was pushed: all is 404.
    let plan = Plan::new("a/b", 10);
    let mut options = options(&registry, Some(100.0));
    let error = run(&plan, &options).unwrap_err();
    assert!(
        matches!(error, Error::Refused { status: 404, .. }),
        "{error}"
    );
    options.may_fail = true;
    let report = run(&plan, &options).unwrap();
    assert_eq!(report.failed, report.requests, "{report:?}");
}
