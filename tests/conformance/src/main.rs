//! `conformance`: the suite from a shell.
#![forbid(unsafe_code)]

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use landfall_conformance::{Target, checks, run_some};

/// Checks a registry against the OCI distribution specification 1.1.
///
/// Prints a line for each check and the rule for each that failed. The exit
/// code is 1 if a check failed, and 2 if the suite could not run.
#[derive(Parser)]
#[command(name = "conformance", version, after_help = EXAMPLES)]
struct Arguments {
    /// Base URL of the registry
    #[arg(long, default_value = "http://127.0.0.1:5000")]
    url: String,
    /// User to log in as; nobody if it is left out
    #[arg(long, default_value = "")]
    user: String,
    /// Password of the user
    #[arg(
        long,
        env = "CONFORMANCE_PASSWORD",
        default_value = "",
        hide_env_values = true
    )]
    password: String,
    /// Prefix of the repositories to push to; mounts come from `<prefix>-other`
    #[arg(long, default_value = "conformance/suite")]
    namespace: String,
    /// Run only checks whose name contains this
    #[arg(long, default_value = "")]
    filter: String,
    /// Checks at a time
    #[arg(long, default_value_t = 8)]
    concurrency: usize,
    /// List the checks and the rules, and run none
    #[arg(long)]
    list: bool,
}

const EXAMPLES: &str = "Examples:
  conformance --url http://127.0.0.1:5000 --user admin --password secret --namespace admin/check
  conformance --url http://127.0.0.1:5000 --filter push::chunks";

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(code) => code,
        Err(text) => {
            let _ = writeln!(io::stderr(), "error: {text}");
            ExitCode::from(2)
        }
    }
}

async fn run(arguments: Arguments) -> Result<ExitCode, String> {
    let mut selected = checks();
    selected.retain(|check| check.name.contains(&arguments.filter));
    if selected.is_empty() {
        return Err(format!("no check has `{}` in its name", arguments.filter));
    }
    // A reader that goes away (`| head`) is no reason to stop or complain.
    let mut out = io::stdout();
    if arguments.list {
        for check in selected {
            let _ = writeln!(out, "{}: {:?}, {}", check.name, check.level, check.rule);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let target = Target::new(&arguments.url)
        .with_login(&arguments.user, &arguments.password)
        .within(&arguments.namespace);
    let report = run_some(&target, selected, arguments.concurrency, |finished| {
        let _ = writeln!(out, "{finished}");
    })
    .await
    .map_err(|failure| failure.explain())?;
    let _ = writeln!(out, "{report}");
    Ok(if report.failed().next().is_some() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
