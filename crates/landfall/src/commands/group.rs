//! `landfall group`.

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    cli::{Format, GroupCommand},
    client::Client,
    output::{self, text, time},
};

pub(super) async fn run(client: &Client, command: GroupCommand, format: Format) -> Result<()> {
    match command {
        GroupCommand::List { account } => {
            let query = account.as_deref().map(|account| ("account", account));
            let query: Vec<_> = query.into_iter().collect();
            let items = client.list_with(&["groups"], &query).await?;
            let header = ["NAME", "CREATED"];
            output::listing(format, &items, &header, |item| {
                vec![text(item, "name"), time(item, "created")]
            });
        }
        GroupCommand::Create { group } => {
            let body = json!({ "name": group });
            let made = client
                .call(Method::POST, &["groups"], &[], Some(&body))
                .await?;
            output::done(format, &made, &format!("created {}", text(&made, "name")));
        }
        GroupCommand::Show { group } => show(format, &client.get(&["groups", &group]).await?),
        GroupCommand::Add { group, members } => {
            change(client, Method::PUT, &group, &members, format).await?;
        }
        GroupCommand::Remove { group, members } => {
            change(client, Method::DELETE, &group, &members, format).await?;
        }
        GroupCommand::Delete { group } => {
            client
                .call(Method::DELETE, &["groups", &group], &[], None)
                .await?;
            output::deleted(format, &group);
        }
    }
    Ok(())
}

/// Adds or removes members, one after the other.
async fn change(
    client: &Client,
    method: Method,
    group: &str,
    members: &[String],
    format: Format,
) -> Result<()> {
    let done = match method {
        Method::PUT => "added",
        _ => "removed",
    };
    for member in members {
        let path = ["groups", group, "members", member];
        client.call(method.clone(), &path, &[], None).await?;
        if format == Format::Table {
            output::line(&format!("{done} {member}"));
        }
    }
    if format == Format::Json {
        output::json(&json!({ "group": group, done: members }));
    }
    Ok(())
}

fn show(format: Format, group: &Value) {
    let members = group["members"].as_array().into_iter().flatten();
    let members: Vec<_> = members.filter_map(Value::as_str).collect();
    output::details(
        format,
        group,
        &[
            ("name", text(group, "name")),
            ("id", text(group, "id")),
            ("members", members.join(", ")),
            ("created", time(group, "created")),
        ],
    );
}
