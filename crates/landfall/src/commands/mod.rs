//! The commands. All but `serve`, `restore`, `admin`, `config`, `openapi`, `completions`
//! and `image copy` talk to a server over its HTTP API.

mod account;
mod admin;
mod audit;
mod backup;
pub(crate) mod copy;
mod credential;
mod credential_helper;
mod event;
mod fsck;
mod gc;
mod group;
mod image;
mod login;
mod policy;
mod principal;
mod repo;
mod restore;
mod tag;
mod webhook;

use std::process::ExitCode;

use anyhow::Result;
use clap::ArgMatches;

use crate::{
    cli::{self, AdminCommand, Cli, Command, ConfigCommand, Format},
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
        Command::Account(command) => account::run(&client()?, command, format).await?,
        Command::Principal(command) => principal::run(&client()?, command, format).await?,
        Command::Group(command) => group::run(&client()?, command, format).await?,
        Command::ApiKey(command) => credential::api_keys(&client()?, command, format).await?,
        Command::Token(command) => credential::tokens(&client()?, command, format).await?,
        Command::SigningKey(command) => {
            credential::signing_keys(&client()?, command, format).await?;
        }
        Command::Policy(command) => {
            return policy::run(&client()?, command, format).await;
        }
        Command::Audit(command) => audit::run(&client()?, command, format).await?,
        Command::Event(command) => event::run(&client()?, command, format).await?,
        Command::Webhook(command) => {
            return webhook::run(&client()?, command, format).await;
        }
        Command::Gc(command) => gc::run(&client()?, command, format).await?,
        Command::Fsck { repair, quick } => {
            return fsck::run(&client()?, repair, quick, format).await;
        }
        Command::Backup { file } => backup::run(&client()?, &file, format).await?,
        Command::Login(arguments) => login::run(&connection, arguments, format).await?,
        Command::Logout(arguments) => login::forget(&connection, arguments, format).await?,
        Command::CredentialHelper { action } => {
            return Ok(credential_helper::run(&connection, action).await);
        }
        Command::Admin(AdminCommand::ResetPassword {
            user,
            password_stdin,
        }) => {
            let config = load(matches)?.config;
            admin::reset_password(&config, &user, password_stdin, format).await?;
        }
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
