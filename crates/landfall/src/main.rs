//! The `landfall` program: the server, and the commands that talk to it.

#![forbid(unsafe_code)]

mod cli;
mod client;
mod commands;
mod config;
mod logging;
mod login;
mod output;
mod serve;

use std::{ffi::OsString, path::Path, process::ExitCode};

use clap::{CommandFactory, FromArgMatches};

fn main() -> ExitCode {
    let matches = cli::command().get_matches_from(words(std::env::args_os()));
    let cli = match cli::Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.format(&mut cli::Cli::command()).exit(),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::new(error).context("can't start")),
    };
    match runtime.block_on(commands::run(cli, &matches)) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

/// The name that docker and podman call their helper by: a link to this program.
const HELPER: &str = "docker-credential-landfall";

/// What was typed. Under the name of the helper it is what that does.
fn words(given: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<_> = given.collect();
    let name = words.first().and_then(|name| Path::new(name).file_name());
    if name.is_some_and(|name| name == HELPER) {
        words.insert(1, "credential-helper".into());
    }
    words
}

/// One line that says what went wrong, with its causes.
fn fail(error: &anyhow::Error) -> ExitCode {
    output::warn(&format!("error: {error:#}"));
    ExitCode::FAILURE
}
