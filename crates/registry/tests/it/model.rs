//! Random histories, compared with a model of what was promised.
//!
//! A history is a list of operations by a few clients over few blobs, few
//! manifests and few repositories, so that they meet often. After each
//! operation the registry must agree with the model (`model::promises`), the
//! tables with each other, and at the end nothing may be left.
//!
//! Histories that failed once are tests of their own at the end of this file;
//! seeds of new failures are written to `model.regressions`.

pub(crate) mod operations;
mod promises;
pub(crate) mod run;
mod universe;

use std::time::Duration;

use landfall_house::Rounds;
use proptest::{
    collection::vec,
    test_runner::{Config, FileFailurePersistence, TestRunner},
};

use operations::{Harm, Operation, operation};
use run::Run;

/// Operations of a history, at the most.
const LONGEST: usize = 60;

/// A runner that repeats seeds that failed before, kept beside `source`.
pub(crate) fn runner(source: &'static str, rounds: &Rounds) -> TestRunner {
    TestRunner::new(Config {
        cases: rounds.total(),
        source_file: Some(source),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        max_shrink_iters: 2000,
        ..Config::default()
    })
}

/// Runs `work` to its end on a thread of its own, so that nothing of one
/// round is left for the next.
pub(crate) fn alone<F: Future>(work: impl FnOnce() -> F + Send + 'static) {
    let thread = std::thread::spawn(move || {
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
async fn history(operations: Vec<Operation>) {
    let mut run = Run::new().await;
    for operation in operations {
        run.apply(&operation).await;
        run.agrees(&operation).await;
    }
    run.drains().await;
}

#[test]
fn the_registry_keeps_what_the_model_says() {
    let rounds = Rounds::of("registry-model");
    let mut runner = runner(file!(), &rounds);
    let result = runner.run(&vec(operation(), 1..LONGEST), |operations| {
        alone(|| history(operations));
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
    let ran = rounds.total();
    rounds.completed(ran);
}

#[test]
fn a_promise_given_in_the_undo_window_does_not_leak() {
    use Operation::{Advance, Collect, DeleteManifest, Head, Push, Put};
    alone(|| {
        history(vec![
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
        ])
    });
}

#[test]
fn damage_heals_while_the_blob_is_mounted_elsewhere() {
    use Operation::{Collect, Damage, Get, Mount, Push, Repair};
    alone(|| {
        history(vec![
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
        ])
    });
}
