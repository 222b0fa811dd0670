//! `landfall webhook`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::{
    cli::{Format, WebhookCommand, WebhookFilter, WebhookState},
    client::Client,
    output::{self, text, time},
};

pub(super) async fn run(
    client: &Client,
    command: WebhookCommand,
    format: Format,
) -> Result<ExitCode> {
    match command {
        WebhookCommand::Create {
            url,
            filter,
            account,
            disabled,
        } => {
            let mut body = chosen(&filter);
            body.insert("url".to_owned(), json!(url));
            body.insert("enabled".to_owned(), json!(!disabled));
            if let Some(account) = account {
                body.insert("account".to_owned(), json!(account));
            }
            let body = Value::Object(body);
            let made = client
                .call(Method::POST, &["webhooks"], &[], Some(&body))
                .await?;
            show(format, &made);
        }
        WebhookCommand::List { account } => list(client, account.as_deref(), format).await?,
        WebhookCommand::Show { id } => show(format, &client.get(&["webhooks", &id]).await?),
        WebhookCommand::Update {
            id,
            url,
            filter,
            enable,
            disable,
        } => {
            let mut body = chosen(&filter);
            if let Some(url) = url {
                body.insert("url".to_owned(), json!(url));
            }
            if enable || disable {
                body.insert("enabled".to_owned(), json!(enable));
            }
            if body.is_empty() {
                bail!("nothing is to be changed; say what, such as `--enable`");
            }
            let body = Value::Object(body);
            let path = ["webhooks", id.as_str()];
            let updated = client.call(Method::PATCH, &path, &[], Some(&body)).await?;
            show(format, &updated);
        }
        WebhookCommand::Rotate { id, overlap } => {
            let body = json!({ "overlap_seconds": overlap.as_secs() });
            let path = ["webhooks", id.as_str(), "rotate"];
            let rotated = client.call(Method::POST, &path, &[], Some(&body)).await?;
            show(format, &rotated);
        }
        WebhookCommand::Test { id } => return test(client, &id, format).await,
        WebhookCommand::Deliveries { id, state, limit } => {
            let state = state.map(WebhookState::as_str);
            let items = deliveries(client, &id, state, limit).await?;
            list_deliveries(format, &items);
        }
        WebhookCommand::Redeliver { id, delivery, .. } => {
            redeliver(client, &id, delivery, format).await?;
        }
        WebhookCommand::Delete { id } => {
            let path = ["webhooks", id.as_str()];
            client.call(Method::DELETE, &path, &[], None).await?;
            match format {
                Format::Json => output::json(&json!({ "deleted": id })),
                Format::Table => output::line(&format!("deleted {id}")),
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The lists that were given.
fn chosen(filter: &WebhookFilter) -> Map<String, Value> {
    let lists = [
        ("kinds", &filter.kind),
        ("repositories", &filter.repository),
    ];
    let given = lists
        .into_iter()
        .filter_map(|(name, list)| Some((name.to_owned(), json!(list.as_ref()?))));
    given.collect()
}

/// A list of a webhook, or `all` where it is empty.
fn joined(webhook: &Value, field: &str) -> String {
    let texts = webhook[field].as_array().into_iter().flatten();
    let texts: Vec<_> = texts.filter_map(Value::as_str).collect();
    if texts.is_empty() {
        return "all".to_owned();
    }
    texts.join(", ")
}

fn state(webhook: &Value) -> String {
    match (webhook["enabled"].as_bool(), &webhook["failing_since"]) {
        (Some(true), Value::Null) => "enabled".to_owned(),
        (Some(true), _) => "failing".to_owned(),
        _ => "disabled".to_owned(),
    }
}

fn show(format: Format, webhook: &Value) {
    output::details(
        format,
        webhook,
        &[
            ("id", text(webhook, "id")),
            ("url", text(webhook, "url")),
            ("account", text(webhook, "account")),
            ("kinds", joined(webhook, "kinds")),
            ("repositories", joined(webhook, "repositories")),
            ("state", state(webhook)),
            ("disabled because", text(webhook, "disabled_because")),
            ("failing since", time(webhook, "failing_since")),
            ("created", time(webhook, "created")),
            ("created by", text(webhook, "created_by")),
            ("old secret until", time(webhook, "rotating_until")),
            ("secret", text(webhook, "secret")),
        ],
    );
    if format == Format::Table && webhook["secret"].is_string() {
        output::warn("the secret is shown this once");
    }
}

async fn list(client: &Client, account: Option<&str>, format: Format) -> Result<()> {
    let query: Vec<_> = account
        .map(|account| ("account", account))
        .into_iter()
        .collect();
    let items = client.list_with(&["webhooks"], &query).await?;
    let header = ["ID", "URL", "KINDS", "REPOSITORIES", "STATE"];
    output::listing(format, &items, &header, |item| {
        vec![
            text(item, "id"),
            text(item, "url"),
            joined(item, "kinds"),
            joined(item, "repositories"),
            state(item),
        ]
    });
    Ok(())
}

async fn test(client: &Client, id: &str, format: Format) -> Result<ExitCode> {
    let path = ["webhooks", id, "test"];
    let attempt = client.call(Method::POST, &path, &[], None).await?;
    let delivered = attempt["delivered"].as_bool() == Some(true);
    match (format, delivered) {
        (Format::Json, _) => output::json(&attempt),
        (Format::Table, true) => output::line(&format!(
            "delivered: the receiver answered {} after {} ms",
            text(&attempt, "status"),
            text(&attempt, "duration_ms")
        )),
        (Format::Table, false) => bail!("{}", text(&attempt, "error")),
    }
    Ok(if delivered {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Up to `limit` deliveries, page by page.
async fn deliveries(
    client: &Client,
    id: &str,
    state: Option<&str>,
    limit: usize,
) -> Result<Vec<Value>> {
    let mut query: Vec<_> = state.map(|state| ("state", state)).into_iter().collect();
    let page = limit.min(1000).to_string();
    query.push(("limit", &page));
    let path = ["webhooks", id, "deliveries"];
    let mut items = Vec::new();
    let mut last = None::<String>;
    while items.len() < limit {
        let mut query = query.clone();
        query.extend(last.as_deref().map(|last| ("last", last)));
        let mut page = client.call(Method::GET, &path, &query, None).await?;
        if let Value::Array(more) = page["items"].take() {
            items.extend(more);
        }
        match page["next"].take() {
            Value::String(next) => last = Some(next),
            _ => break,
        }
    }
    items.truncate(limit);
    Ok(items)
}

fn list_deliveries(format: Format, items: &[Value]) {
    let header = ["ID", "KIND", "SUBJECT", "STATE", "TRIES", "LAST ANSWER"];
    output::listing(format, items, &header, |item| {
        let answer = match item["error"].as_str() {
            Some(error) => error.to_owned(),
            None => text(item, "status"),
        };
        vec![
            text(item, "id"),
            text(item, "kind"),
            text(item, "subject"),
            text(item, "state"),
            text(item, "tries"),
            answer,
        ]
    });
}

/// Sends one delivery again, or all that were given up.
async fn redeliver(
    client: &Client,
    id: &str,
    delivery: Option<String>,
    format: Format,
) -> Result<()> {
    let chosen = if let Some(delivery) = delivery {
        vec![delivery]
    } else {
        let dead = deliveries(client, id, Some("dead"), usize::MAX).await?;
        dead.iter().map(|each| text(each, "id")).collect()
    };
    let mut again = Vec::new();
    for delivery in &chosen {
        let path = ["webhooks", id, "deliveries", delivery, "redeliver"];
        again.push(client.call(Method::POST, &path, &[], None).await?);
    }
    match format {
        Format::Json => output::json(&Value::Array(again)),
        Format::Table => output::line(&format!("{} in line again", again.len())),
    }
    Ok(())
}
