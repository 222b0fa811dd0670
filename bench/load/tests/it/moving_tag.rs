//! An old answer for a tag that has moved is noticed, and a new one is not
//! taken for old.

use std::time::Duration;

use landfall_load::{
    Error,
    manifests::{Options, Plan, Report, prepare, run},
};

use crate::registry::{Faults, Registry};

/// Reads while a tag moves every 20 ms.
fn read(faults: Faults) -> Result<Report, Error> {
    let registry = Registry::start(faults);
    let plan = Plan::new("a/b", 10);
    prepare(registry.address, None, &plan)?;
    let other = registry.address;
    run(
        &plan,
        &Options {
            // The same server twice: answers of both are looked at.
            servers: vec![registry.address, other],
            authorization: None,
            connections: 4,
            rate: None,
            warm_up: Duration::from_millis(10),
            duration: Duration::from_millis(300),
            move_every: Some(Duration::from_millis(20)),
            may_fail: false,
            processes: vec![std::process::id()],
        },
    )
}

#[test]
fn an_honest_registry_has_no_stale_answer() {
    let report = read(Faults::default()).unwrap();
    assert!(report.checked > 0, "{report:?}");
    assert!(report.moves > 2, "{report:?}");
    assert_eq!(report.stale, 0, "{report:?}");
}

#[test]
fn an_answer_older_than_an_acknowledged_move_is_stale() {
    let report = read(Faults {
        old_tags: true,
        ..Faults::default()
    })
    .unwrap();
    assert!(report.stale > 0, "{report:?}");
    // A request that was sent before the move may be answered with what was
    // before it, so not all are stale; most are.
    assert!(report.stale * 2 > report.checked, "{report:?}");
}

#[test]
fn an_answer_with_another_digest_ends_the_run() {
    let error = read(Faults {
        wrong_digests: true,
        ..Faults::default()
    })
    .unwrap_err();
    assert!(matches!(error, Error::Wrong { .. }), "{error}");
}
