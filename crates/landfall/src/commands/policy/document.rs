//! The text of a policy: from a file, from standard input or from a template;
//! and where it is wrong.

use std::{
    io::{self, Read},
    path::Path,
};

use anyhow::{Context, Error, Result, anyhow, bail};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

use crate::{
    cli::PolicyText,
    client::Client,
    output::{self, text},
};

/// Bytes of a policy that are read, at the most. The server takes less.
const LONGEST: u64 = 1024 * 1024;

/// A policy with the name of where it came from.
pub(super) struct Document {
    /// What the places of errors begin with.
    pub(super) name: String,
    /// The policy.
    pub(super) text: String,
}

impl Document {
    /// Reads what was named.
    pub(super) async fn read(client: &Client, source: PolicyText) -> Result<Self> {
        match source {
            PolicyText {
                template: Some(name),
                ..
            } => Ok(Self {
                text: template(client, &name).await?,
                name: format!("template {name}"),
            }),
            PolicyText {
                file: Some(path), ..
            } if path == Path::new("-") => Ok(Self {
                text: all(io::stdin(), "standard input")?,
                name: "standard input".to_owned(),
            }),
            PolicyText {
                file: Some(path), ..
            } => {
                let name = path.display().to_string();
                let file = std::fs::File::open(&path)
                    .with_context(|| format!("`{name}` can't be read"))?;
                let text = all(file, &name)?;
                Ok(Self { name, text })
            }
            _ => bail!("no policy is given; name a file, or `-` for standard input"),
        }
    }

    /// Sends a request about it. What is wrong in it is told with its place.
    pub(super) async fn send(
        &self,
        client: &Client,
        request: RequestBuilder,
        body: &Value,
    ) -> Result<Value> {
        let response = request.json(body).send().await;
        let response = response.map_err(|error| client.unreached(error))?;
        if response.status().is_success() {
            return response
                .json()
                .await
                .context("the server's answer can't be read");
        }
        if response.status() == StatusCode::UNPROCESSABLE_ENTITY {
            let problem: Value = response.json().await.unwrap_or_default();
            if problem["errors"].is_array() {
                return Err(self.refusal(&problem["errors"]));
            }
            bail!("{}", text(&problem, "detail"));
        }
        client.refused(response).await?;
        Ok(Value::Null)
    }

    /// What is wrong, as a compiler tells it: the place first. Of several errors
    /// all but the last are printed before.
    pub(super) fn refusal(&self, errors: &Value) -> Error {
        let errors = errors.as_array().map(Vec::as_slice).unwrap_or_default();
        let Some((last, before)) = errors.split_last() else {
            return anyhow!("{} is not valid", self.name);
        };
        for error in before {
            output::warn(&format!("error: {}", self.place(error)));
        }
        anyhow!(self.place(last))
    }

    fn place(&self, error: &Value) -> String {
        let place = match (error["line"].as_u64(), error["column"].as_u64()) {
            (Some(line), Some(column)) => format!(":{line}:{column}"),
            _ => String::new(),
        };
        let mut told = format!("{}{place}: {}", self.name, text(error, "message"));
        let hint = text(error, "hint");
        if !hint.is_empty() {
            told.push_str("; ");
            told.push_str(&hint);
        }
        told.replace('\n', " ")
    }
}

/// All that can be read, as text.
fn all(from: impl Read, name: &str) -> Result<String> {
    let mut text = String::new();
    from.take(LONGEST + 1)
        .read_to_string(&mut text)
        .with_context(|| format!("`{name}` can't be read as text"))?;
    if text.len() as u64 > LONGEST {
        bail!("`{name}` is too long for a policy");
    }
    Ok(text)
}

/// The text of a template.
pub(super) async fn template(client: &Client, name: &str) -> Result<String> {
    let templates = client.list(&["policy-templates"]).await?;
    let found = templates.iter().find(|each| each["name"] == name);
    if let Some(found) = found {
        return Ok(text(found, "text"));
    }
    let names: Vec<_> = templates
        .iter()
        .map(|each| format!("`{}`", text(each, "name")))
        .collect();
    bail!("no template `{name}`; there are {}", names.join(", "))
}
