//! What holds on SQLite and a local disk holds on PostgreSQL and S3: the same
//! tests, run by this same program, with other backends below the servers.

use std::process::{Command, Stdio};

use crate::backends::SUITE;

/// Runs the tests with these beginnings on the services, and all of them pass.
fn pass_on_services(beginnings: &[&str], but: &[&str]) {
    let program = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new(program);
    command.args(beginnings).args(["--test-threads", "4"]);
    for but in but {
        command.args(["--skip", but]);
    }
    let ran = command
        .env(SUITE, "1")
        .stdin(Stdio::null())
        .output()
        .expect("this program runs again");
    let (output, errors) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    assert!(ran.status.success(), "{output}\n{errors}");
    let some = output.contains("test result: ok.") && !output.contains("ok. 0 passed");
    assert!(some, "no test ran:\n{output}");
}

#[test]
fn the_api_is_the_same_on_postgres_and_s3() {
    // These look into the folder of a store on a disk, or fill its database.
    let on_disk = [
        "a_list_that_goes_on_does_not_name_what_is_hidden",
        "a_check_finds_damage_and_the_next_push_heals_it",
        "a_collection_tells_what_it_would_free_and_then_frees_it",
        "the_store_counts_each_blob_once_and_has_one_identity",
    ];
    pass_on_services(&["api::"], &on_disk);
}

#[test]
fn the_command_line_is_the_same_on_postgres_and_s3() {
    // It damages a file of a store on a disk.
    let on_disk = ["a_check_that_finds_problems_ends_with_1"];
    pass_on_services(&["cli::listing::", "cli::errors::"], &on_disk);
}

#[test]
fn every_rule_of_the_specification_holds_on_postgres_and_s3() {
    pass_on_services(&["conformance::"], &[]);
}

#[test]
fn real_clients_push_pull_and_run_on_postgres_and_s3() {
    // `image copy` does its work on the client's side.
    pass_on_services(&["clients::"], &["clients::copy::"]);
}

#[test]
fn hostile_requests_are_refused_on_postgres_and_s3() {
    // It cuts a file of a store on a disk.
    let on_disk = ["a_file_that_shrinks_while_it_is_sent"];
    pass_on_services(&["hostile::"], &on_disk);
}
