//! `landfall account`.

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    cli::{AccountCommand, Format},
    client::Client,
    output::{self, text, time},
};

pub(super) async fn run(client: &Client, command: AccountCommand, format: Format) -> Result<()> {
    match command {
        AccountCommand::List => {
            let items = client.list(&["accounts"]).await?;
            let header = ["NAME", "STATE", "CREATED"];
            output::listing(format, &items, &header, |item| {
                vec![text(item, "name"), state(item), time(item, "created")]
            });
        }
        AccountCommand::Create { account } => {
            let body = json!({ "name": account });
            let made = client
                .call(Method::POST, &["accounts"], &[], Some(&body))
                .await?;
            output::done(format, &made, &format!("created {account}"));
        }
        AccountCommand::Show { account } => {
            let account = client.get(&["accounts", &account]).await?;
            output::details(
                format,
                &account,
                &[
                    ("name", text(&account, "name")),
                    ("id", text(&account, "id")),
                    ("state", state(&account)),
                    ("created", time(&account, "created")),
                ],
            );
        }
        AccountCommand::Enable { account } => enable(client, &account, true, format).await?,
        AccountCommand::Disable { account } => enable(client, &account, false, format).await?,
        AccountCommand::Delete { account } => {
            client
                .call(Method::DELETE, &["accounts", &account], &[], None)
                .await?;
            output::deleted(format, &account);
        }
    }
    Ok(())
}

async fn enable(client: &Client, account: &str, enabled: bool, format: Format) -> Result<()> {
    let body = json!({ "enabled": enabled });
    let path = ["accounts", account];
    let changed = client.call(Method::PATCH, &path, &[], Some(&body)).await?;
    output::done(format, &changed, &format!("{} {account}", state(&changed)));
    Ok(())
}

/// Whether credentials of it are taken.
pub(super) fn state(value: &Value) -> String {
    match value["enabled"].as_bool() {
        Some(true) => "enabled".to_owned(),
        _ => "disabled".to_owned(),
    }
}
