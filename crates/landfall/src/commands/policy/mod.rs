//! `landfall policy`.

mod answers;
mod document;

use std::process::ExitCode;

use anyhow::{Result, bail};
use reqwest::Method;
use serde_json::{Value, json};

use self::document::Document;
use crate::{
    cli::{Asked, Format, PolicyCommand, PolicyTarget, PolicyText, TemplateCommand},
    client::Client,
    output::{self, text, time},
};

pub(super) async fn run(
    client: &Client,
    command: PolicyCommand,
    format: Format,
) -> Result<ExitCode> {
    match command {
        PolicyCommand::List { account } => list(client, account.as_deref(), format).await?,
        PolicyCommand::Create {
            policy,
            target,
            text,
        } => {
            let document = Document::read(client, text).await?;
            let body = json!({
                "name": policy,
                "target": of_target(&target),
                "text": document.text,
            });
            let request = client.request(Method::POST, &["policies"], &[]);
            let made = document.send(client, request, &body).await?;
            output::done(format, &made, &format!("created {policy}"));
        }
        PolicyCommand::Show { policy } => {
            show(format, &client.get(&["policies", &policy]).await?);
        }
        PolicyCommand::Update { policy, text } => {
            let document = Document::read(client, text).await?;
            let body = json!({ "text": document.text });
            let request = client.request(Method::PUT, &["policies", &policy], &[]);
            let updated = document.send(client, request, &body).await?;
            output::done(format, &updated, &format!("updated {policy}"));
        }
        PolicyCommand::Delete { policy } => {
            let path = ["policies", policy.as_str()];
            client.call(Method::DELETE, &path, &[], None).await?;
            output::deleted(format, &policy);
        }
        PolicyCommand::Validate { file } => {
            let text = PolicyText {
                file: Some(file),
                template: None,
            };
            let document = Document::read(client, text).await?;
            return validate(client, &document, format).await;
        }
        PolicyCommand::Explain { asked } => explain(client, &asked, format).await?,
        PolicyCommand::Simulate {
            new,
            replace,
            delete,
            text,
        } => {
            let change = match (replace, delete) {
                (Some(policy), _) => json!({ "replace": policy }),
                (_, Some(policy)) => json!({ "delete": policy }),
                _ => json!({ "target": of_target(&new.into()) }),
            };
            simulate(client, change, text.into(), format).await?;
        }
        PolicyCommand::Template(TemplateCommand::List) => templates(client, format).await?,
        PolicyCommand::Template(TemplateCommand::Show { template }) => {
            let text = document::template(client, &template).await?;
            match format {
                Format::Json => output::json(&json!({ "name": template, "text": text })),
                Format::Table => output::line(text.trim_end()),
            }
        }
        PolicyCommand::Schema => {
            let schema = client
                .send(Method::GET, &["policy-schema"], &[], None)
                .await?
                .text()
                .await?;
            match format {
                Format::Json => output::json(&json!({ "schema": schema })),
                Format::Table => output::line(schema.trim_end()),
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The target as the API writes it: its kind and its name.
fn of_target(target: &PolicyTarget) -> Value {
    let kinds = [
        ("principal", &target.principal),
        ("group", &target.group),
        ("repository", &target.repository),
        ("account", &target.account),
    ];
    let chosen = kinds
        .into_iter()
        .find_map(|(kind, name)| Some((kind, name.as_ref()?)));
    match chosen {
        Some((kind, name)) => json!({ "kind": kind, "name": name }),
        None => Value::Null,
    }
}

async fn list(client: &Client, account: Option<&str>, format: Format) -> Result<()> {
    let query: Vec<_> = account
        .map(|account| ("account", account))
        .into_iter()
        .collect();
    let items = client.list_with(&["policies"], &query).await?;
    let header = ["NAME", "FOR", "UPDATED"];
    output::listing(format, &items, &header, |item| {
        let target = &item["target"];
        vec![
            text(item, "name"),
            format!("{} {}", text(target, "kind"), text(target, "name")),
            time(item, "updated"),
        ]
    });
    Ok(())
}

fn show(format: Format, policy: &Value) {
    let target = &policy["target"];
    output::details(
        format,
        policy,
        &[
            ("name", text(policy, "name")),
            ("id", text(policy, "id")),
            (
                "for",
                format!("{} {}", text(target, "kind"), text(target, "name")),
            ),
            ("created", time(policy, "created")),
            ("updated", time(policy, "updated")),
        ],
    );
    if format == Format::Table {
        output::line("");
        output::line(text(policy, "text").trim_end());
    }
}

async fn templates(client: &Client, format: Format) -> Result<()> {
    let items = client.list(&["policy-templates"]).await?;
    output::listing(format, &items, &["NAME", "WHAT IT ALLOWS"], |item| {
        vec![text(item, "name"), text(item, "description")]
    });
    Ok(())
}

async fn validate(client: &Client, document: &Document, format: Format) -> Result<ExitCode> {
    let body = json!({ "text": document.text });
    let path = ["policies:validate"];
    let answer = client.call(Method::POST, &path, &[], Some(&body)).await?;
    let valid = answer["valid"].as_bool() == Some(true);
    match (format, valid) {
        (Format::Json, _) => output::json(&answer),
        (Format::Table, true) => output::line(&format!("{} is valid", document.name)),
        (Format::Table, false) => return Err(document.refusal(&answer["errors"])),
    }
    Ok(if valid {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn explain(client: &Client, asked: &Asked, format: Format) -> Result<()> {
    let (kind, name) = match &asked.resource {
        Some(name) if name.contains('/') => ("repository", Some(name)),
        Some(name) => ("account", Some(name)),
        None => ("registry", None),
    };
    let mut body = json!({
        "principal": asked.principal,
        "action": asked.action,
        "resource": { "kind": kind, "name": name },
    });
    if let Some(tag) = &asked.tag {
        body["tag"] = json!(tag);
    }
    if let Some(source) = &asked.source {
        body["source"] = json!(source);
    }
    let path = ["policies:explain"];
    let answer = client.call(Method::POST, &path, &[], Some(&body)).await?;
    match format {
        Format::Json => output::json(&answer),
        Format::Table => {
            output::line(&answers::sentence(asked, &answer));
            for policy in answers::policies(&answer) {
                output::line(&format!("  {policy}"));
            }
        }
    }
    Ok(())
}

async fn simulate(client: &Client, change: Value, text: PolicyText, format: Format) -> Result<()> {
    let path = ["policies:simulate"];
    let answer = if change["delete"].is_string() {
        client.call(Method::POST, &path, &[], Some(&change)).await?
    } else {
        let document = Document::read(client, text).await?;
        let mut body = change;
        body["text"] = json!(document.text);
        let request = client.request(Method::POST, &path, &[]);
        document.send(client, request, &body).await?
    };
    let Some(changes) = answer["changes"].as_array() else {
        bail!("the server's answer is no simulation");
    };
    if format == Format::Json {
        output::json(&answer);
        return Ok(());
    }
    let asked = text_of_count(&answer);
    if changes.is_empty() {
        output::line(&format!("nobody's access changes ({asked})"));
        return Ok(());
    }
    let header = ["WHO", "ACTION", "WHAT", "NOW", "THEN"];
    output::listing(format, changes, &header, |item| {
        ["principal", "action", "resource", "before", "after"]
            .map(|field| crate::output::text(item, field))
            .to_vec()
    });
    output::warn(&format!("{} changes ({asked})", changes.len()));
    Ok(())
}

/// How much of the audit log was asked again, in words.
fn text_of_count(answer: &Value) -> String {
    let asked = output::number(answer, "asked");
    let cut = match answer["cut"].as_bool() {
        Some(true) => ", and there are more",
        _ => "",
    };
    format!("{asked} requests like those of the audit log were tried{cut}")
}
