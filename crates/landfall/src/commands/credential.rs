//! `landfall api-key`, `landfall token` and `landfall signing-key`.

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    cli::{ApiKeyCommand, Format, SigningKeyCommand, TokenCommand},
    client::Client,
    output::{self, text, time},
};

/// The caller itself, as the API names it.
const SELF: &str = "~";

pub(super) async fn api_keys(
    client: &Client,
    command: ApiKeyCommand,
    format: Format,
) -> Result<()> {
    match command {
        ApiKeyCommand::List { principal } => {
            let whose = principal.as_deref().unwrap_or(SELF);
            let items = client.list(&["principals", whose, "api-keys"]).await?;
            let header = ["ID", "FOR", "EXPIRES", "LAST USE"];
            output::listing(format, &items, &header, |item| {
                vec![
                    text(item, "id"),
                    text(item, "description"),
                    or(time(item, "expires"), "never"),
                    or(time(item, "last_used"), "-"),
                ]
            });
        }
        ApiKeyCommand::Create {
            principal,
            description,
            expires,
        } => {
            let whose = principal.as_deref().unwrap_or(SELF);
            let body = json!({
                "description": description,
                "lifetime_seconds": expires.map(|time| time.as_secs()),
            });
            let path = ["principals", whose, "api-keys"];
            let made = client.call(Method::POST, &path, &[], Some(&body)).await?;
            show_key(format, &made);
        }
        ApiKeyCommand::Rotate {
            id,
            principal,
            overlap,
        } => {
            let whose = principal.as_deref().unwrap_or(SELF);
            let body = json!({ "overlap_seconds": overlap.as_secs() });
            let path = ["principals", whose, "api-keys", &id, "rotate"];
            let made = client.call(Method::POST, &path, &[], Some(&body)).await?;
            show_key(format, &made);
        }
        ApiKeyCommand::Delete { id, principal } => {
            let whose = principal.as_deref().unwrap_or(SELF);
            let path = ["principals", whose, "api-keys", &id];
            client.call(Method::DELETE, &path, &[], None).await?;
            output::deleted(format, &id);
        }
    }
    Ok(())
}

/// What is there, or a word for that nothing is.
fn or(text: String, otherwise: &str) -> String {
    if text.is_empty() {
        otherwise.to_owned()
    } else {
        text
    }
}

/// The key goes to standard output, where a program takes it; the rest beside.
fn show_key(format: Format, key: &Value) {
    if format == Format::Json {
        return output::json(key);
    }
    output::line(&text(key, "key"));
    let expires = or(time(key, "expires"), "never");
    output::warn(&format!(
        "id {} of {}, expires {expires}; the key is shown this once",
        text(key, "id"),
        text(key, "principal")
    ));
}

pub(super) async fn tokens(client: &Client, command: TokenCommand, format: Format) -> Result<()> {
    match command {
        TokenCommand::Create { lifetime } => {
            let body = json!({ "lifetime_seconds": lifetime.as_secs() });
            let path = ["authorization-tokens"];
            let made = client.call(Method::POST, &path, &[], Some(&body)).await?;
            if format == Format::Json {
                output::json(&made);
                return Ok(());
            }
            output::line(&text(&made, "token"));
            output::warn(&format!(
                "id {}, expires {}; the token is shown this once",
                text(&made, "id"),
                time(&made, "expires")
            ));
        }
        TokenCommand::Revoke {
            id: Some(id),
            principal: _,
        } => {
            let path = ["authorization-tokens", id.as_str()];
            client.call(Method::DELETE, &path, &[], None).await?;
            let answer = json!({ "revoked": id });
            output::done(format, &answer, &format!("revoked {id}"));
        }
        TokenCommand::Revoke {
            id: None,
            principal,
        } => {
            let whose = principal.as_deref().unwrap_or(SELF);
            let path = ["principals", whose, "tokens"];
            client.call(Method::DELETE, &path, &[], None).await?;
            let answer = json!({ "revoked": whose });
            output::done(format, &answer, &format!("revoked all tokens of {whose}"));
        }
    }
    Ok(())
}

pub(super) async fn signing_keys(
    client: &Client,
    command: SigningKeyCommand,
    format: Format,
) -> Result<()> {
    match command {
        SigningKeyCommand::List => {
            let items = client.list(&["signing-keys"]).await?;
            let header = ["ID", "STATE", "CREATED", "VERIFIES UNTIL"];
            output::listing(format, &items, &header, |item| {
                vec![
                    text(item, "id"),
                    text(item, "state"),
                    time(item, "created"),
                    or(time(item, "verifies_until"), "-"),
                ]
            });
        }
        SigningKeyCommand::Rotate => {
            let path = ["signing-keys:rotate"];
            let made = client.call(Method::POST, &path, &[], None).await?;
            let id = text(&made, "id");
            output::done(format, &made, &format!("{id} signs from now on"));
        }
        SigningKeyCommand::Revoke { id } => {
            let path = ["signing-keys", id.as_str()];
            client.call(Method::DELETE, &path, &[], None).await?;
            let answer = json!({ "revoked": id });
            output::done(format, &answer, &format!("revoked {id}"));
        }
    }
    Ok(())
}
