//! Random histories, compared with a model of what was promised.
//!
//! A history is a list of operations by a few clients over few blobs, few
//! manifests and few repositories, so that they meet often. After each
//! operation the registry must agree with the model (`model::promises`), the
//! tables with each other, and at the end nothing may be left.
//!
//! Histories that failed once are tests of their own at the end of this file;
//! seeds of new failures are written to `model.regressions`.

mod history;
pub(crate) mod operations;
mod promises;
pub(crate) mod run;
mod universe;

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use landfall_database::Kind;
use landfall_house::Rounds;
use proptest::{
    collection::vec,
    strategy::Strategy,
    test_runner::{Config, FileFailurePersistence, TestRunner},
};

use operations::{Harm, Operation, operation, undo};
use run::Run;

use crate::world::UNDO;

on_both!(; alone: a_promise_given_in_the_undo_window_does_not_leak,
    damage_heals_while_the_blob_is_mounted_elsewhere);

/// Operations of a history, at the most.
const LONGEST: usize = 60;

/// Runs a property for as many values as there are rounds. Seeds that failed
/// are kept beside `source`, and come first the next time.
pub(crate) fn property<S: Strategy>(
    rounds: Rounds,
    source: &'static str,
    values: &S,
    holds: impl Fn(S::Value),
) {
    let mut runner = TestRunner::new(Config {
        cases: rounds.total(),
        source_file: Some(source),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        max_shrink_iters: 2000,
        ..Config::default()
    });
    let ran = AtomicU32::new(0);
    let result = runner.run(values, |value| {
        holds(value);
        ran.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
    rounds.completed(ran.into_inner());
}

/// Runs `work` to its end on a thread of its own, so that nothing of one
/// round is left for the next.
pub(crate) fn alone<F: Future>(work: impl FnOnce() -> F + Send + 'static) {
    let kind = crate::world::kind();
    let thread = std::thread::spawn(move || {
        crate::world::on(kind);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(work());
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs a history, comparing after each operation.
async fn history(operations: Vec<Operation>, undo: Duration) {
    let mut run = Run::new(undo).await;
    for operation in operations {
        run.apply(&operation).await;
        run.agrees(&operation).await;
    }
    run.drains().await;
}

#[test]
fn the_registry_keeps_what_the_model_says_on_sqlite() {
    compare(Rounds::of("registry-model"));
}

#[test]
fn the_registry_keeps_what_the_model_says_on_postgres() {
    crate::world::on(Kind::Postgres);
    compare(Rounds::of("registry-model-postgres"));
}

fn compare(rounds: Rounds) {
    let histories = (vec(operation(), 1..LONGEST), undo());
    property(rounds, file!(), &histories, |(operations, undo)| {
        alone(move || history(operations, undo));
    });
}

fn a_promise_given_in_the_undo_window_does_not_leak() {
    use Operation::{Advance, Collect, DeleteManifest, Head, Push, Put};
    alone(|| {
        history(
            vec![
                Push {
                    repository: 0,
                    blob: 1,
                },
                Put {
                    repository: 0,
                    manifest: 0,
                    tag: None,
                },
                DeleteManifest {
                    repository: 0,
                    manifest: 0,
                },
                Advance(Duration::from_hours(9)),
                Head {
                    repository: 0,
                    blob: 1,
                },
                Collect {
                    grace: Some(Duration::ZERO),
                },
                Advance(Duration::from_hours(1)),
                Collect { grace: None },
            ],
            UNDO,
        )
    });
}

fn damage_heals_while_the_blob_is_mounted_elsewhere() {
    use Operation::{Collect, Damage, Get, Mount, Push, Repair};
    alone(|| {
        history(
            vec![
                Push {
                    repository: 0,
                    blob: 2,
                },
                Mount {
                    from: 0,
                    to: 1,
                    blob: 2,
                },
                Damage {
                    blob: 2,
                    harm: Harm::Cut,
                },
                Get {
                    repository: 1,
                    blob: 2,
                },
                Push {
                    repository: 2,
                    blob: 2,
                },
                Collect { grace: None },
                Damage {
                    blob: 2,
                    harm: Harm::Flip,
                },
                Repair,
                Push {
                    repository: 1,
                    blob: 2,
                },
                Collect {
                    grace: Some(Duration::ZERO),
                },
            ],
            UNDO,
        )
    });
}
