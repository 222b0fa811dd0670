//! The suite, tried on a registry whose deviations are known, and on answers
//! that are wrong.
#![forbid(unsafe_code)]

mod deviations;
mod docker_registry;
mod faults;
mod faulty_proxy;
mod logins;
mod supplement;

use std::collections::BTreeSet;

use docker_registry::DockerRegistry;
use landfall_conformance::{Feature, Finished, Report, Target, checks, run_all, run_some};

fn names<'a>(finished: impl Iterator<Item = &'a Finished>) -> BTreeSet<&'a str> {
    finished.map(|done| done.check.name).collect()
}

async fn run_whole_suite(url: &str) -> Report {
    let report = run_all(&Target::new(url), 8).await.expect("the suite runs");
    assert_eq!(report.finished.len(), checks().len());
    report
}

/// The checks that need one of these.
fn needing(features: &[Feature]) -> BTreeSet<&'static str> {
    let needy = |feature: &Feature| features.contains(feature);
    let all = checks().into_iter();
    all.filter(|check| check.needs.iter().any(needy))
        .map(|check| check.name)
        .collect()
}

/// Holds if exactly these checks failed; shows the others.
fn assert_failed(report: &Report, expected: &BTreeSet<&str>) {
    let surprising = report
        .failed()
        .filter(|done| !expected.contains(done.check.name));
    let surprises: Vec<String> = surprising.map(ToString::to_string).collect();
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
    let failed = names(report.failed());
    let passed: Vec<&&str> = expected.difference(&failed).collect();
    assert!(passed.is_empty(), "known to fail, and did not: {passed:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_finds_exactly_the_known_deviations_of_docker_registry() {
    let docker = DockerRegistry::start();
    let report = run_whole_suite(&docker.url).await;
    assert_failed(&report, &deviations::known());
    let lacking = [
        Feature::TagDeletion,
        Feature::Referrers,
        Feature::SinglePost,
    ];
    assert_eq!(names(report.skipped()), needing(&lacking));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_check_passes_on_a_right_answer_and_notices_a_wrong_one() {
    let docker = DockerRegistry::start();
    let url = faulty_proxy::start(&docker.url, faulty_proxy::FAULTLESS).await;
    let report = run_whole_suite(&url).await;
    assert_failed(&report, &deviations::left_with_the_supplement());
    assert_eq!(names(report.skipped()), needing(&[Feature::SinglePost]));

    let mut blind = names(report.passed());
    for case in faults::all() {
        let url = faulty_proxy::start(&docker.url, case.fault).await;
        let shown = |name: &str| {
            case.noticed_by.contains(&name) || (case.shown_to_all && blind.contains(name))
        };
        let selected = checks()
            .into_iter()
            .filter(|check| shown(check.name))
            .collect();
        let report = run_some(&Target::new(&url), selected, 8, |_| ())
            .await
            .expect("it runs");
        let noticed = names(report.failed());
        for name in case.noticed_by {
            assert!(
                noticed.contains(name),
                "`{name}` does not notice: {}",
                case.title
            );
        }
        blind.retain(|name| !noticed.contains(name));
    }
    assert_eq!(blind, BTreeSet::new(), "these notice no fault");
}
