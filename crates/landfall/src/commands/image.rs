//! `landfall image`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use landfall_oci::ImageReference;
use reqwest::Method;
use serde_json::Value;

use crate::{
    cli::{Connection, Format, ImageCommand},
    client::Client,
    output::{self, bytes, short_digest, text, time},
};

pub(super) async fn run(
    connection: &Connection,
    command: ImageCommand,
    format: Format,
) -> Result<ExitCode> {
    let client = &Client::new(connection)?;
    match command {
        ImageCommand::Copy(arguments) => {
            return super::copy::run(connection, client, *arguments, format).await;
        }
        ImageCommand::List { name } => {
            let items = client
                .list(&["repositories", name.as_str(), "images"])
                .await?;
            let header = ["TAGS", "DIGEST", "KIND", "SIZE", "PUSHED"];
            output::listing(format, &items, &header, |item| {
                vec![
                    tags(item),
                    short_digest(&text(item, "digest")),
                    kind(item).to_owned(),
                    bytes(item, "size"),
                    time(item, "created"),
                ]
            });
        }
        ImageCommand::Show { image } => {
            let tree = fetch(client, &image).await?;
            output::details(
                format,
                &tree,
                &[
                    ("digest", text(&tree, "digest")),
                    ("tags", tags(&tree)),
                    ("media type", text(&tree, "media_type")),
                    ("artifact type", text(&tree, "artifact_type")),
                    ("pushed", time(&tree, "created")),
                    ("size", bytes(&tree, "size")),
                    ("layers", count(&tree, "layers")),
                    ("platforms", count(&tree, "children")),
                    ("referrers", count(&tree, "referrers")),
                ],
            );
        }
        ImageCommand::Tree { image } => {
            let tree = fetch(client, &image).await?;
            match format {
                Format::Json => output::json(&tree),
                Format::Table => {
                    output::line(&label(&tree));
                    branches(&tree, "");
                }
            }
        }
        ImageCommand::History { image, platform } => {
            let (name, reference) = parts(&image)?;
            let query: Vec<_> = platform.iter().map(|p| ("platform", p.as_str())).collect();
            let path = ["repositories", &name, "images", &reference, "history"];
            let mut history = client.call(Method::GET, &path, &query, None).await?;
            let Value::Array(steps) = history["items"].take() else {
                return Ok(ExitCode::SUCCESS);
            };
            output::listing(format, &steps, &["CREATED", "SIZE", "CREATED BY"], |step| {
                let size = match &step["layer"] {
                    Value::Null => "-".to_owned(),
                    layer => bytes(layer, "size"),
                };
                let by = text(step, "created_by");
                let by = if by.is_empty() {
                    text(step, "comment")
                } else {
                    by
                };
                let created = text(step, "created");
                vec![created.chars().take(19).collect(), size, by]
            });
        }
        ImageCommand::Delete { image, purge } => {
            let (name, reference) = parts(&image)?;
            let purge = if purge { "true" } else { "false" };
            let path = ["repositories", &name, "images", &reference];
            let gone = client
                .call(Method::DELETE, &path, &[("purge", purge)], None)
                .await?;
            match format {
                Format::Json => output::json(&gone),
                Format::Table => {
                    output::line(&format!("deleted {image}"));
                    for digest in gone["manifests"].as_array().into_iter().flatten() {
                        output::line(&format!("  {}", digest.as_str().unwrap_or_default()));
                    }
                }
            }
        }
        ImageCommand::Restore { image } => restore(client, &image, format).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Brings back what was deleted.
async fn restore(client: &Client, image: &ImageReference, format: Format) -> Result<()> {
    let (name, reference) = parts(image)?;
    let path = ["repositories", &name, "images", &reference, "restore"];
    let restored = client.call(Method::POST, &path, &[], None).await?;
    match format {
        Format::Json => output::json(&restored),
        Format::Table => {
            output::line(&format!("restored {image}"));
            for field in ["manifests", "tags"] {
                for each in restored[field].as_array().into_iter().flatten() {
                    output::line(&format!("  {}", each.as_str().unwrap_or_default()));
                }
            }
        }
    }
    Ok(())
}

/// The name of the repository, and the tag or digest in it.
fn parts(image: &ImageReference) -> Result<(String, String)> {
    if let Some(host) = &image.host {
        bail!("`{host}` names a server; say it with `--server`, and the image without it");
    }
    Ok((image.repository.to_string(), image.reference().to_string()))
}

async fn fetch(client: &Client, image: &ImageReference) -> Result<Value> {
    let (name, reference) = parts(image)?;
    client
        .get(&["repositories", &name, "images", &reference])
        .await
}

fn tags(image: &Value) -> String {
    let tags = image["tags"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let tags = tags.collect::<Vec<_>>().join(", ");
    if tags.is_empty() {
        "-".to_owned()
    } else {
        tags
    }
}

fn count(value: &Value, field: &str) -> String {
    value[field].as_array().map_or(0, Vec::len).to_string()
}

/// One word for what a manifest is.
fn kind(image: &Value) -> &str {
    let media_type = image["media_type"].as_str().unwrap_or_default();
    let artifact = image["artifact_type"].as_str().unwrap_or_default();
    match () {
        () if media_type.contains("index") || media_type.contains("list") => "index",
        () if image["subject"].is_string() => "referrer",
        () if artifact.is_empty() || artifact.contains("image") => "image",
        () => "artifact",
    }
}

/// The line of a manifest in a tree.
fn label(node: &Value) -> String {
    let mut parts = vec![
        format!("{} {}", kind(node), short_digest(&text(node, "digest"))),
        text(node, "platform"),
        bytes(node, "size"),
    ];
    let tags = tags(node);
    if tags != "-" {
        parts.push(format!("[{tags}]"));
    }
    if kind(node) == "referrer" {
        parts.push(text(node, "artifact_type"));
    }
    parts.retain(|part| !part.is_empty());
    parts.join("  ")
}

/// Draws what hangs on a node below it.
fn branches(node: &Value, indent: &str) {
    let each = |field: &str| node[field].as_array().cloned().unwrap_or_default();
    let layers = each("layers").into_iter().map(|layer| {
        let digest = short_digest(&text(&layer, "digest"));
        (format!("layer {digest}  {}", bytes(&layer, "size")), None)
    });
    let nodes = each("children").into_iter().chain(each("referrers"));
    let nodes = nodes.map(|node| (label(&node), Some(node)));
    let all: Vec<_> = layers.chain(nodes).collect();
    let last = all.len().saturating_sub(1);
    for (index, (text, below)) in all.into_iter().enumerate() {
        let (corner, next) = if index == last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        output::line(&format!("{indent}{corner}{text}"));
        if let Some(below) = below {
            branches(&below, &format!("{indent}{next}"));
        }
    }
}
