//! The `landfall` program: the server, and the commands that talk to it.

#![forbid(unsafe_code)]

mod cli;
mod client;
mod commands;
mod config;
mod logging;
mod output;
mod serve;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

fn main() -> ExitCode {
    let matches = cli::command().get_matches();
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

/// One line that says what went wrong, with its causes.
fn fail(error: &anyhow::Error) -> ExitCode {
    output::warn(&format!("error: {error:#}"));
    ExitCode::FAILURE
}
