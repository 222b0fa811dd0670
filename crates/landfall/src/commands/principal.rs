//! `landfall principal`.

use std::io::{self, BufRead};

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::{Value, json};

use super::account::state;
use crate::{
    cli::{Format, PrincipalCommand},
    client::Client,
    output::{self, text, time},
};

pub(super) async fn run(client: &Client, command: PrincipalCommand, format: Format) -> Result<()> {
    match command {
        PrincipalCommand::List { account } => {
            let query = account.as_deref().map(|account| ("account", account));
            let query: Vec<_> = query.into_iter().collect();
            let items = client.list_with(&["principals"], &query).await?;
            let header = ["NAME", "KIND", "STATE", "CREATED"];
            output::listing(format, &items, &header, |item| {
                vec![
                    text(item, "name"),
                    text(item, "kind"),
                    state(item),
                    time(item, "created"),
                ]
            });
        }
        PrincipalCommand::Create {
            principal,
            kind,
            password_stdin,
        } => {
            let mut body = json!({ "name": principal, "kind": kind.as_str() });
            if password_stdin {
                body["password"] = json!(first_line()?);
            }
            let made = client
                .call(Method::POST, &["principals"], &[], Some(&body))
                .await?;
            output::done(format, &made, &format!("created {}", text(&made, "name")));
        }
        PrincipalCommand::Show { principal } => {
            show(format, &client.get(&["principals", &principal]).await?);
        }
        PrincipalCommand::Enable { principal } => {
            enable(client, &principal, true, format).await?;
        }
        PrincipalCommand::Disable { principal } => {
            enable(client, &principal, false, format).await?;
        }
        PrincipalCommand::SetPassword {
            principal,
            password_stdin,
            new_password,
        } => {
            let password = match new_password {
                Some(password) => password,
                None if password_stdin => first_line()?,
                None => bail!(
                    "no password is given; give it in LANDFALL_NEW_PASSWORD, or on standard input \
                     with `--password-stdin`"
                ),
            };
            let body = json!({ "password": password });
            let path = ["principals", &principal, "password"];
            client.call(Method::PUT, &path, &[], Some(&body)).await?;
            let answer = json!({ "name": principal });
            output::done(format, &answer, &format!("{principal} has a new password"));
        }
        PrincipalCommand::Delete { principal } => {
            client
                .call(Method::DELETE, &["principals", &principal], &[], None)
                .await?;
            output::deleted(format, &principal);
        }
    }
    Ok(())
}

/// The password on standard input: its first line.
pub(super) fn first_line() -> Result<String> {
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .context("the password can't be read from standard input")?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        bail!("there is no password on standard input; its first line is taken");
    }
    Ok(password.to_owned())
}

fn show(format: Format, principal: &Value) {
    let groups = principal["groups"].as_array().into_iter().flatten();
    let groups: Vec<_> = groups.filter_map(Value::as_str).collect();
    let administrator = principal["administrator"].as_bool() == Some(true);
    output::details(
        format,
        principal,
        &[
            ("name", text(principal, "name")),
            ("id", text(principal, "id")),
            ("kind", text(principal, "kind")),
            ("state", state(principal)),
            ("groups", groups.join(", ")),
            (
                "rights",
                if administrator { "operator" } else { "" }.to_owned(),
            ),
            ("created", time(principal, "created")),
        ],
    );
}

async fn enable(client: &Client, principal: &str, enabled: bool, format: Format) -> Result<()> {
    let body = json!({ "enabled": enabled });
    let path = ["principals", principal];
    let changed = client.call(Method::PATCH, &path, &[], Some(&body)).await?;
    output::done(
        format,
        &changed,
        &format!("{} {principal}", state(&changed)),
    );
    Ok(())
}
