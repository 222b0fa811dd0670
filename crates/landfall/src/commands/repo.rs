//! `landfall repo`.

use std::io::{IsTerminal, stdin};

use anyhow::{Result, bail};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    cli::{Format, RepoCommand},
    client::Client,
    output::{self, bytes, text, time},
};

pub(super) async fn run(client: &Client, command: RepoCommand, format: Format) -> Result<()> {
    match command {
        RepoCommand::List => {
            let items = client.list(&["repositories"]).await?;
            let header = ["NAME", "TAGS", "MANIFESTS", "BLOBS", "SIZE"];
            output::listing(format, &items, &header, |item| {
                let plain = ["name", "tags", "manifests", "blobs"].map(|field| text(item, field));
                plain.into_iter().chain([bytes(item, "bytes")]).collect()
            });
        }
        RepoCommand::Show { name } => {
            let repository = client.get(&["repositories", name.as_str()]).await?;
            show(format, &repository);
        }
        RepoCommand::Create { name } => {
            let body = json!({ "name": name });
            let made = client
                .call(Method::POST, &["repositories"], &[], Some(&body))
                .await?;
            match format {
                Format::Json => output::json(&made),
                Format::Table => output::line(&format!("created {name}")),
            }
        }
        RepoCommand::Delete { name, yes } => {
            if !yes && !confirmed(name.as_str())? {
                bail!("nothing was deleted");
            }
            client
                .call(Method::DELETE, &["repositories", name.as_str()], &[], None)
                .await?;
            match format {
                Format::Json => output::json(&json!({ "deleted": name })),
                Format::Table => output::line(&format!("deleted {name}")),
            }
        }
    }
    Ok(())
}

fn show(format: Format, repository: &Value) {
    output::details(
        format,
        repository,
        &[
            ("name", text(repository, "name")),
            ("id", text(repository, "id")),
            ("created", time(repository, "created")),
            ("tags", text(repository, "tags")),
            ("manifests", text(repository, "manifests")),
            ("blobs", text(repository, "blobs")),
            ("size", bytes(repository, "bytes")),
        ],
    );
}

/// Asks the person before everything in a repository goes.
fn confirmed(name: &str) -> Result<bool> {
    if !stdin().is_terminal() {
        bail!("deleting `{name}` deletes everything in it; say `--yes` to do it");
    }
    output::warn(&format!(
        "Delete `{name}` with everything in it? Type its name:"
    ));
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(answer.trim() == name)
}
