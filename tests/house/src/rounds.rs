//! How often a long test repeats itself.
//!
//! A long test runs a fixed share of its rounds in `./test` and all of them in
//! `./test --full`. docs/testing.md states both numbers, and they are stated
//! nowhere else: [`Rounds::of`] reads them there. A test that has run all the
//! rounds it was given leaves a file that says so, and `./test` fails when a
//! row of the table has no such file or a smaller number in it.

use std::{env, fs, path::PathBuf};

use crate::{code, read, table};

/// Set to `1` by `./test --full`: every round runs.
const FULL: &str = "LANDFALL_TEST_FULL";
/// Set by `./test` to the folder that takes a file for each finished test.
const REPORTS: &str = "LANDFALL_TEST_ROUNDS";

/// The rounds of one long test, numbered from 0.
///
/// Loop over it; a test that leaves the loop early has not run its rounds.
///
/// ```no_run
/// for round in landfall_house::Rounds::of("kill") {
///     println!("round {round}");
/// }
/// ```
#[derive(Debug)]
pub struct Rounds {
    name: String,
    total: u32,
    started: u32,
    /// Where a finished test leaves its file; `None` outside of `./test`.
    reports: Option<PathBuf>,
}

impl Rounds {
    /// The rounds that docs/testing.md states for the long test `name`.
    ///
    /// # Panics
    ///
    /// When the table there has no such row.
    pub fn of(name: &str) -> Self {
        let full = env::var(FULL).is_ok_and(|value| value == "1");
        let total = stated(&read("docs/testing.md"), name, full).unwrap_or_else(|| {
            panic!("docs/testing.md states no rounds for the long test `{name}`")
        });
        Self {
            name: name.to_owned(),
            total,
            started: 0,
            reports: env::var_os(REPORTS).map(PathBuf::from),
        }
    }

    /// How many rounds have to run.
    pub fn total(&self) -> u32 {
        self.total
    }

    /// For a test whose rounds another loop counts, such as the cases of a
    /// property test: says that `ran` rounds have passed.
    ///
    /// # Panics
    ///
    /// When they were fewer than [`Rounds::total`].
    pub fn completed(self, ran: u32) {
        assert!(
            ran >= self.total,
            "`{}` ran {ran} of {} rounds",
            self.name,
            self.total
        );
        self.report(ran);
    }

    fn report(&self, ran: u32) {
        if let Some(folder) = &self.reports {
            fs::create_dir_all(folder).expect("the folder for the rounds can be made");
            fs::write(folder.join(&self.name), ran.to_string()).expect("the rounds can be noted");
        }
    }
}

impl Iterator for Rounds {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.started == self.total {
            self.report(self.total);
            return None;
        }
        self.started += 1;
        Some(self.started - 1)
    }
}

/// The rounds of the row `name`: the last column for a full run, the one
/// before it otherwise.
fn stated(document: &str, name: &str, full: bool) -> Option<u32> {
    let rows = table(document, &["long test"]);
    let row = rows
        .iter()
        .find(|row| row.first().is_some_and(|cell| code(cell) == name))?;
    row.iter().rev().nth(usize::from(!full))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\
        | long test | a round is | `./test` | `./test --full` |\n\
        | --- | --- | --- | --- |\n\
        | `kill` | a death | 20 | 200 |\n";

    #[test]
    fn the_document_states_both_numbers() {
        assert_eq!(stated(DOCUMENT, "kill", false), Some(20));
        assert_eq!(stated(DOCUMENT, "kill", true), Some(200));
        assert_eq!(stated(DOCUMENT, "drown", true), None);
    }

    /// Three rounds of a test that reports into a folder of its own.
    fn three() -> (tempfile::TempDir, Rounds) {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let rounds = Rounds {
            name: "three".to_owned(),
            total: 3,
            started: 0,
            reports: Some(folder.path().join("rounds")),
        };
        (folder, rounds)
    }

    fn report(folder: &tempfile::TempDir) -> Option<String> {
        fs::read_to_string(folder.path().join("rounds/three")).ok()
    }

    #[test]
    fn rounds_are_numbered_from_zero_and_reported_after_the_last() {
        let (folder, mut rounds) = three();
        assert_eq!(rounds.total(), 3);
        assert_eq!(
            [rounds.next(), rounds.next(), rounds.next()],
            [Some(0), Some(1), Some(2)]
        );
        assert_eq!(report(&folder), None, "the last round is still running");
        assert_eq!(rounds.next(), None);
        assert_eq!(report(&folder).as_deref(), Some("3"));
    }

    #[test]
    fn a_loop_that_is_left_early_reports_nothing() {
        let (folder, rounds) = three();
        for round in rounds {
            if round == 2 {
                break;
            }
        }
        assert_eq!(report(&folder), None);
    }

    #[test]
    fn rounds_that_another_loop_counted_are_reported() {
        let (folder, rounds) = three();
        rounds.completed(4);
        assert_eq!(report(&folder).as_deref(), Some("4"));
    }

    #[test]
    #[should_panic(expected = "ran 2 of 3 rounds")]
    fn too_few_rounds_are_no_success() {
        three().1.completed(2);
    }
}
