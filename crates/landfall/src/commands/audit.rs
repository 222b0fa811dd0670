//! `landfall audit`.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, Result, bail};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::{
    cli::{AuditCommand, AuditFilter, Format},
    client::Client,
    output::{self, text, time},
};

/// Rows of one request, at the most.
const PAGE: usize = 1000;

pub(super) async fn run(client: &Client, command: AuditCommand, format: Format) -> Result<()> {
    match command {
        AuditCommand::List { filter, limit } => {
            let items = list(client, &filter, limit).await?;
            let header = ["TIME", "WHO", "ACTION", "WHAT", "OUTCOME", "BECAUSE"];
            output::listing(format, &items, &header, |item| {
                vec![
                    time(item, "time"),
                    text(&item["principal"], "name"),
                    text(item, "action"),
                    text(&item["resource"], "name"),
                    text(item, "outcome"),
                    because(item),
                ]
            });
            Ok(())
        }
        AuditCommand::Export { filter, file } => export(client, &filter, &file, format).await,
    }
}

/// The policies that decided, or the reason of a refusal.
fn because(row: &Value) -> String {
    let policies = row["policies"].as_array().into_iter().flatten();
    let policies: Vec<_> = policies.filter_map(Value::as_str).collect();
    if policies.is_empty() {
        text(row, "reason")
    } else {
        policies.join(", ")
    }
}

/// Up to `limit` rows, page by page.
async fn list(client: &Client, filter: &AuditFilter, limit: usize) -> Result<Vec<Value>> {
    let mut items = Vec::new();
    let mut last = None::<String>;
    while items.len() < limit {
        let wanted = (limit - items.len()).min(PAGE).to_string();
        let mut query = filter.query();
        query.push(("limit", &wanted));
        query.extend(last.as_deref().map(|last| ("last", last)));
        let mut page = client.call(Method::GET, &["audit"], &query, None).await?;
        let Value::Array(more) = page["items"].take() else {
            bail!("the server's answer is no listing");
        };
        items.extend(more);
        match page["next"].take() {
            Value::String(next) => last = Some(next),
            _ => break,
        }
    }
    Ok(items)
}

async fn export(client: &Client, filter: &AuditFilter, file: &Path, format: Format) -> Result<()> {
    let response = client
        .send(Method::GET, &["audit:export"], &filter.query(), None)
        .await?;
    if file == Path::new("-") {
        return download(response, &mut io::stdout()).await.map(drop);
    }
    let unwritable = || format!("`{}` can't be written", file.display());
    // Written beside its name: an export that broke off doesn't look whole.
    let partial = file.with_extension("partial");
    let mut written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)
        .with_context(unwritable)?;
    let rows = download(response, &mut written).await?;
    written.sync_all().with_context(unwritable)?;
    std::fs::rename(&partial, file).with_context(unwritable)?;
    let answer = json!({ "file": file, "rows": rows });
    output::done(
        format,
        &answer,
        &format!("wrote {rows} rows to {}", file.display()),
    );
    Ok(())
}

/// Writes what comes, and counts the lines.
async fn download(mut response: Response, to: &mut impl Write) -> Result<usize> {
    let mut rows = 0;
    let mut ended = true;
    while let Some(chunk) = response.chunk().await.context("the export broke off")? {
        to.write_all(&chunk)?;
        rows += chunk.split(|byte| *byte == b'\n').count() - 1;
        ended = chunk.last().map_or(ended, |byte| *byte == b'\n');
    }
    to.flush()?;
    if !ended {
        bail!("the export broke off in the middle of a row");
    }
    Ok(rows)
}
