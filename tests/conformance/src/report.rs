//! Running checks, and what came of it.

use std::fmt;

use futures_util::{StreamExt, stream};

use crate::{Check, Failure, Feature, Registry, Target, checks, features::missing_features};

/// How a check ended.
#[derive(Debug)]
pub enum Outcome {
    /// The rule holds.
    Passed,
    /// The rule does not hold.
    Failed(Failure),
    /// The registry lacks what the rule is about; the text says what.
    Skipped(String),
}

/// One check and how it ended. `Display` is its line in the report.
#[derive(Debug)]
pub struct Finished {
    /// What was tried.
    pub check: Check,
    /// How it ended.
    pub outcome: Outcome,
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Check {
            name,
            section,
            level,
            rule,
            ..
        } = self.check;
        match &self.outcome {
            Outcome::Passed => write!(f, "ok       {name}"),
            Outcome::Skipped(reason) => write!(f, "skipped  {name}: {reason}"),
            Outcome::Failed(failure) => {
                let failure = failure.explain();
                write!(
                    f,
                    "FAILED   {name}\n         {level:?}, \"{section}\": {rule}\n         {failure}"
                )
            }
        }
    }
}

/// How all the checks ended, in the order of [`checks`]. `Display` is the last
/// line of the report.
#[derive(Debug, Default)]
pub struct Report {
    /// Each check.
    pub finished: Vec<Finished>,
}

impl Report {
    /// The checks that passed.
    pub fn passed(&self) -> impl Iterator<Item = &Finished> {
        self.finished
            .iter()
            .filter(|done| matches!(done.outcome, Outcome::Passed))
    }

    /// The checks that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Finished> {
        self.finished
            .iter()
            .filter(|done| matches!(done.outcome, Outcome::Failed(_)))
    }

    /// The checks that were skipped.
    pub fn skipped(&self) -> impl Iterator<Item = &Finished> {
        self.finished
            .iter()
            .filter(|done| matches!(done.outcome, Outcome::Skipped(_)))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (passed, failed) = (self.passed().count(), self.failed().count());
        write!(
            f,
            "{passed} passed, {failed} failed, {} skipped",
            self.skipped().count()
        )
    }
}

/// Runs every check on `target`, `concurrency` of them at a time.
pub async fn run_all(target: &Target, concurrency: usize) -> Result<Report, Failure> {
    run_some(target, checks(), concurrency, |_| ()).await
}

/// Runs `selected` on `target`, `concurrency` of them at a time, and calls
/// `each` with every finished check, in the order of `selected`.
pub async fn run_some(
    target: &Target,
    selected: Vec<Check>,
    concurrency: usize,
    mut each: impl FnMut(&Finished),
) -> Result<Report, Failure> {
    let registry = Registry::new(target.clone())?;
    let needy = selected.iter().any(|check| !check.needs.is_empty());
    let missing = if needy {
        missing_features(&registry).await
    } else {
        Vec::new()
    };
    let mut report = Report::default();
    let mut running = stream::iter(selected)
        .map(|check| finish(check, &registry, &missing))
        .buffered(concurrency.max(1));
    while let Some(finished) = running.next().await {
        each(&finished);
        report.finished.push(finished);
    }
    Ok(report)
}

async fn finish(check: Check, registry: &Registry, missing: &[Feature]) -> Finished {
    let outcome = if let Some(feature) = check.needs.iter().find(|need| missing.contains(need)) {
        Outcome::Skipped(Failure::NotOffered(feature.title()).to_string())
    } else {
        match (check.run)(registry.clone()).await {
            Ok(()) => Outcome::Passed,
            Err(reason @ Failure::NotOffered(_)) => Outcome::Skipped(reason.to_string()),
            Err(failure) => Outcome::Failed(failure),
        }
    };
    Finished { check, outcome }
}
