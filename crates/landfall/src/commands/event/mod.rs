//! `landfall event`.

mod sse;
mod tail;

use anyhow::{Result, bail};
use reqwest::Method;
use serde_json::Value;

use crate::{
    cli::{EventCommand, Format},
    client::Client,
    output::{self, short_digest, text, time},
};

/// Events of one request, at the most.
const PAGE: usize = 1000;

pub(super) async fn run(client: &Client, command: EventCommand, format: Format) -> Result<()> {
    match command {
        EventCommand::List {
            filter,
            from,
            limit,
        } => {
            let items = list(client, &filter.query(), from, limit).await?;
            let header = ["POSITION", "TIME", "KIND", "SUBJECT", "WHAT"];
            output::listing(format, &items, &header, |item| {
                vec![
                    text(item, "position"),
                    time(item, "time"),
                    text(item, "kind"),
                    text(item, "subject"),
                    what(item),
                ]
            });
            Ok(())
        }
        EventCommand::Tail { filter, from } => {
            tail::run(client, &filter.query(), from, format).await
        }
    }
}

/// Up to `limit` events, page by page.
async fn list(
    client: &Client,
    filter: &[(&str, String)],
    from: Option<u64>,
    limit: usize,
) -> Result<Vec<Value>> {
    let mut items = Vec::new();
    let mut last = from.map(|from| from.to_string());
    loop {
        let wanted = limit.saturating_sub(items.len()).min(PAGE).to_string();
        let mut query: Vec<(&str, &str)> = vec![("limit", &wanted)];
        query.extend(filter.iter().map(|(name, value)| (*name, value.as_str())));
        query.extend(last.as_deref().map(|last| ("last", last)));
        let mut page = client.call(Method::GET, &["events"], &query, None).await?;
        let Value::Array(more) = page["items"].take() else {
            bail!("the server's answer is no listing");
        };
        items.extend(more);
        match page["next"].take() {
            Value::String(next) if items.len() < limit => last = Some(next),
            _ => return Ok(items),
        }
    }
}

/// What an event is about, in a few words.
fn what(event: &Value) -> String {
    let data = &event["data"];
    let digest = |field: &str| short_digest(&text(data, field));
    let tag = text(data, "tag");
    match (digest("previous").as_str(), digest("digest").as_str()) {
        ("", "") => text(data, "reason"),
        ("", digest) => format!("{tag} {digest}").trim().to_owned(),
        (previous, "") => format!("{tag} {previous}").trim().to_owned(),
        (previous, digest) => format!("{tag} {previous} -> {digest}"),
    }
}
