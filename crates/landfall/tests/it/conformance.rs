//! The conformance suite of the distribution specification, on Landfall.

use landfall_conformance::{Report, Target, checks, run_all};

use crate::server::{PASSWORD, Server};

/// Fails unless every check of the suite ran and passed.
fn assert_whole(report: &Report) {
    let wrong = report.failed().chain(report.skipped());
    let wrong: Vec<String> = wrong.map(ToString::to_string).collect();
    assert!(wrong.is_empty(), "{report}\n{}", wrong.join("\n"));
    assert_eq!(report.passed().count(), checks().len());
}

async fn run(log_in: impl FnOnce(Target) -> Target) {
    let directory = tempfile::tempdir().expect("scratch directory");
    let server = Server::start(&directory.path().join("data"));
    let target = log_in(Target::new(&server.url).within("admin/conformance"));
    let report = run_all(&target, 8).await.expect("the suite runs");
    assert_whole(&report);
    let fsck = server.landfall(["fsck"]);
    assert!(
        fsck.status.success(),
        "{}",
        String::from_utf8_lossy(&fsck.stdout)
    );
}

/// The suite asks for a token where it is challenged to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_rule_of_the_specification_holds_with_bearer_tokens() {
    run(|target| target.with_login("admin", PASSWORD)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_rule_of_the_specification_holds_with_user_and_password() {
    let log_in = |target: Target| target.with_login("admin", PASSWORD).with_basic_always();
    run(log_in).await;
}
