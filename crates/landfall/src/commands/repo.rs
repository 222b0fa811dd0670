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
        RepoCommand::Update {
            name,
            immutable_tags,
            mutable_tags: _,
            except,
        } => {
            let rules = json!({ "immutable": immutable_tags, "except": except });
            let path = ["repositories", name.as_str()];
            let body = json!({ "tag_rules": rules });
            let changed = client.call(Method::PATCH, &path, &[], Some(&body)).await?;
            match format {
                Format::Json => output::json(&changed),
                Format::Table => output::line(&format!("{name}: {}", rule(&changed))),
            }
        }
        RepoCommand::Usage { name } => {
            let repository = client.get(&["repositories", name.as_str()]).await?;
            let usage = json!({
                "name": repository["name"],
                "pulls": repository["usage"]["pulls"],
                "bytes_sent": repository["usage"]["bytes_sent"],
                "last_pull": repository["usage"]["last_pull"],
                "bytes": repository["bytes"],
            });
            output::details(
                format,
                &usage,
                &[
                    ("name", text(&usage, "name")),
                    ("pulls", text(&usage, "pulls")),
                    ("sent", bytes(&usage, "bytes_sent")),
                    ("last pull", time(&usage, "last_pull")),
                    ("size", bytes(&usage, "bytes")),
                ],
            );
        }
        RepoCommand::Restore { name } => {
            let path = ["repositories", name.as_str(), "restore"];
            let restored = client.call(Method::POST, &path, &[], None).await?;
            match format {
                Format::Json => output::json(&restored),
                Format::Table => output::line(&format!("restored {name}")),
            }
        }
        RepoCommand::Delete { name, yes, purge } => {
            if !yes && !confirmed(name.as_str())? {
                bail!("nothing was deleted");
            }
            client
                .call(
                    Method::DELETE,
                    &["repositories", name.as_str()],
                    &[("purge", if purge { "true" } else { "false" })],
                    None,
                )
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
    let usage = &repository["usage"];
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
            ("tag rule", rule(repository)),
            ("pulls", text(usage, "pulls")),
            ("sent", bytes(usage, "bytes_sent")),
            ("last pull", time(usage, "last_pull")),
        ],
    );
}

/// Which tags may move, in words.
fn rule(repository: &Value) -> String {
    let rules = &repository["tag_rules"];
    let rule = match rules["immutable"].as_bool() {
        Some(true) => "immutable",
        _ => "mutable",
    };
    let except = rules["except"].as_array().into_iter().flatten();
    let except: Vec<_> = except.filter_map(Value::as_str).collect();
    if except.is_empty() {
        rule.to_owned()
    } else {
        format!("{rule}, except {}", except.join(" "))
    }
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
