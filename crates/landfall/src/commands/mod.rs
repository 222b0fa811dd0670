//! The commands. All but `serve`, `restore`, `config`, `openapi`, `completions`
//! and `image copy` talk to a server over its HTTP API.

mod backup;
pub(crate) mod copy;
mod event;
mod fsck;
mod gc;
mod image;
mod repo;
mod restore;
mod tag;
mod webhook;

use std::process::ExitCode;

use anyhow::Result;
use clap::ArgMatches;

use crate::{
    cli::{self, Cli, Command, ConfigCommand, Format},
    client::Client,
    config, output, serve,
};

/// Does what was typed.
pub(crate) async fn run(cli: Cli, matches: &ArgMatches) -> Result<ExitCode> {
    let Cli {
        connection,
        command,
    } = cli;
    let format = connection.output;
    let client = || Client::new(&connection);
    match command {
        Command::Serve => serve::run(load(matches)?).await?,
        Command::Config(ConfigCommand::Show) => show(&load(matches)?, format),
        Command::Restore {
            file,
            force,
            forget_secrets,
        } => {
            let wishes = restore::Wishes {
                force,
                forget_secrets,
            };
            restore::run(&load(matches)?.config, &file, wishes, format).await?;
        }
        Command::Repo(command) => repo::run(&client()?, command, format).await?,
        Command::Image(command) => return image::run(&connection, command, format).await,
        Command::Tag(command) => tag::run(&client()?, command, format).await?,
        Command::Event(command) => event::run(&client()?, command, format).await?,
        Command::Webhook(command) => {
            return webhook::run(&client()?, command, format).await;
        }
        Command::Gc(command) => gc::run(&client()?, command, format).await?,
        Command::Fsck { repair, quick } => {
            return fsck::run(&client()?, repair, quick, format).await;
        }
        Command::Backup { file } => backup::run(&client()?, &file, format).await?,
        Command::Openapi => {
            output::json(&serde_json::to_value(landfall_server::api::document())?);
        }
        Command::Completions { shell } => {
            let mut command = cli::command();
            clap_complete::generate(shell, &mut command, "landfall", &mut std::io::stdout());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The settings, from the flags of the innermost subcommand, the environment
/// and the file.
fn load(matches: &ArgMatches) -> Result<config::Loaded, config::ConfigError> {
    let mut innermost = matches;
    while let Some((_, inner)) = innermost.subcommand() {
        innermost = inner;
    }
    config::load(innermost, std::env::vars_os())
}

fn show(loaded: &config::Loaded, format: Format) {
    match format {
        Format::Table => output::line(loaded.effective.to_table().trim_end()),
        Format::Json => output::json(&loaded.effective.to_json()),
    }
}
