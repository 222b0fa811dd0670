//! `landfall tag`.

use anyhow::{Result, bail};
use landfall_oci::{Digest, RepositoryName};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    cli::{Format, TagCommand, TagName, Target},
    client::Client,
    output::{self, number, short_digest, text, time},
};

pub(super) async fn run(client: &Client, command: TagCommand, format: Format) -> Result<()> {
    match command {
        TagCommand::List {
            name,
            deleted: true,
        } => list_deleted(client, &name, format).await?,
        TagCommand::List { name, .. } => {
            let items = client
                .list(&["repositories", name.as_str(), "tags"])
                .await?;
            let header = ["TAG", "DIGEST", "UPDATED", "IMMUTABLE"];
            output::listing(format, &items, &header, |item| {
                vec![
                    text(item, "tag"),
                    short_digest(&text(item, "digest")),
                    time(item, "updated"),
                    yes_or_no(item, "immutable"),
                ]
            });
        }
        TagCommand::Show { tag } => {
            let shown = client.get(&path(&tag)).await?;
            output::details(
                format,
                &shown,
                &[
                    ("tag", text(&shown, "tag")),
                    ("digest", text(&shown, "digest")),
                    ("media type", text(&shown, "media_type")),
                    ("created", time(&shown, "created")),
                    ("updated", time(&shown, "updated")),
                    ("immutable", yes_or_no(&shown, "immutable")),
                ],
            );
        }
        TagCommand::History { tag, limit } => history(client, &tag, limit, format).await?,
        TagCommand::Create { tag, image } => create(client, &tag, &image, format).await?,
        TagCommand::Delete { tag } => {
            client.call(Method::DELETE, &path(&tag), &[], None).await?;
            match format {
                Format::Json => output::json(&json!({ "deleted": tag.to_string() })),
                Format::Table => output::line(&format!("deleted {tag}")),
            }
        }
        TagCommand::Undo { tag } => undo(client, &tag, format).await?,
    }
    Ok(())
}

/// The path of a tag.
fn path(tag: &TagName) -> [&str; 4] {
    let (name, tag) = (tag.repository.as_str(), tag.tag.as_str());
    ["repositories", name, "tags", tag]
}

async fn list_deleted(client: &Client, name: &RepositoryName, format: Format) -> Result<()> {
    let path = ["repositories", name.as_str(), "deleted-tags"];
    let items = client.list(&path).await?;
    let header = ["TAG", "DIGEST", "DELETED", "BY", "COMES BACK WITH"];
    output::listing(format, &items, &header, |item| {
        let deletion = &item["deletion"];
        let with = match deletion["with_image"].as_bool() {
            Some(true) => "image restore",
            _ => "tag undo",
        };
        vec![
            text(item, "tag"),
            short_digest(&text(deletion, "from")),
            time(deletion, "happened"),
            text(deletion, "actor"),
            with.to_owned(),
        ]
    });
    Ok(())
}

async fn history(client: &Client, tag: &TagName, limit: usize, format: Format) -> Result<()> {
    let [repositories, name, tags, of] = path(tag);
    let path = [repositories, name, tags, of, "history"];
    let mut entries: Vec<Value> = Vec::new();
    let mut last = None::<String>;
    while entries.len() < limit {
        let page = (limit - entries.len()).min(1000).to_string();
        let mut query = vec![("limit", page.as_str())];
        if let Some(last) = &last {
            query.push(("last", last));
        }
        let mut page = client.call(Method::GET, &path, &query, None).await?;
        match page["items"].take() {
            Value::Array(more) => entries.extend(more),
            _ => bail!("the server's answer is no listing"),
        }
        match page["next"].take() {
            Value::String(next) => last = Some(next),
            _ => break,
        }
    }
    let header = ["NR", "WHAT", "FROM", "TO", "WHEN", "BY"];
    output::listing(format, &entries, &header, |entry| {
        let act = match number(entry, "undoes") {
            0 => text(entry, "act"),
            undone => format!("{} ({undone})", text(entry, "act")),
        };
        vec![
            text(entry, "number"),
            act,
            digits(entry, "from"),
            digits(entry, "to"),
            time(entry, "happened"),
            text(entry, "actor"),
        ]
    });
    Ok(())
}

async fn create(client: &Client, tag: &TagName, image: &Target, format: Format) -> Result<()> {
    if let Some(other) = image
        .repository
        .as_ref()
        .filter(|other| **other != tag.repository)
    {
        bail!(
            "`{other}` is another repository than `{}`; copy the image with `landfall image copy`",
            tag.repository
        );
    }
    let body = json!({ "image": image.reference.to_string() });
    let set = client
        .call(Method::PUT, &path(tag), &[], Some(&body))
        .await?;
    match format {
        Format::Json => output::json(&set),
        Format::Table => output::line(&format!("{tag} points at {}", text(&set, "digest"))),
    }
    Ok(())
}

/// What was looked at is what is undone: if something happens to the tag in
/// between, nothing is.
async fn undo(client: &Client, tag: &TagName, format: Format) -> Result<()> {
    let [repositories, name, tags, of] = path(tag);
    let path = [repositories, name, tags, of, "history"];
    let newest = client
        .call(Method::GET, &path, &[("limit", "1")], None)
        .await?;
    let entry = text(&newest["items"][0], "number");
    let query: &[(&str, &str)] = match entry.as_str() {
        "" => &[],
        entry => &[("entry", entry)],
    };
    let path = [repositories, name, tags, of, "undo"];
    let undone = client.call(Method::POST, &path, query, None).await?;
    match (format, undone["from"].as_str()) {
        (Format::Json, _) => output::json(&undone),
        (Format::Table, Some(digest)) => {
            output::line(&format!("{tag} points at {digest} again"));
        }
        (Format::Table, None) => output::line(&format!("{tag} is gone again")),
    }
    Ok(())
}

/// Digits of a digest: enough to tell two of one tag apart.
fn digits(entry: &Value, field: &str) -> String {
    match text(entry, field).parse::<Digest>() {
        Ok(digest) => {
            let text = digest.to_string();
            let hex = text.split_once(':').map_or(text.as_str(), |(_, hex)| hex);
            hex.chars().take(12).collect()
        }
        Err(_) => "-".to_owned(),
    }
}

fn yes_or_no(item: &Value, field: &str) -> String {
    match item[field].as_bool() {
        Some(true) => "yes".to_owned(),
        _ => "no".to_owned(),
    }
}
