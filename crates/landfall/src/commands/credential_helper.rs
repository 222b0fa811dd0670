//! The credential helper that docker and podman call, as `landfall
//! credential-helper` or under the name `docker-credential-landfall`.
//!
//! Their protocol: a word on the command line (`get`, `store`, `erase`,
//! `list`), the rest on standard input, JSON on standard output; an error is a
//! sentence on standard output and the status 1. The logins are those of
//! `landfall login`. Where an API key is kept, each `get` has the server make a
//! fresh token, so the key itself stays with us. Of a password that is to be
//! kept, a token is made, and that is kept.

use std::{
    io::{self, Read},
    process::ExitCode,
};

use anyhow::{Context, Result, anyhow, bail};
use landfall_identity::Secret;
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::login;
use crate::{
    cli::{Connection, HelperAction},
    client::{Client, Credential},
    login::{Kind, Logins, LoginsFile, TOKEN, is_exposed, kind_of, server_url, shown},
    output,
};

/// What clients take for "log in without a credential".
const NOT_FOUND: &str = "credentials not found in native keychain";
/// The user of a token that docker got from a token service.
const IDENTITY: &str = "<token>";
/// The most that is read from standard input, in bytes.
const LONGEST: u64 = 64 << 10;

/// A login as clients hand it over.
#[derive(Deserialize)]
struct Given {
    #[serde(rename = "ServerURL")]
    server: String,
    #[serde(rename = "Username")]
    user: String,
    #[serde(rename = "Secret")]
    secret: String,
}

/// Does what the client asks for. Errors are told the client's way.
pub(super) async fn run(connection: &Connection, action: HelperAction) -> ExitCode {
    let done = match action {
        HelperAction::Get => get(connection).await,
        HelperAction::Store => store(connection).await,
        HelperAction::Erase => erase(connection).await,
        HelperAction::List => list(),
    };
    match done {
        Ok(Some(answer)) => {
            output::line(&answer.to_string());
            ExitCode::SUCCESS
        }
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => {
            output::line(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn get(connection: &Connection) -> Result<Option<Value>> {
    let server = input()?;
    let logins = LoginsFile::needed()?.read()?;
    let Some(login) = logins.at(host(&server)) else {
        bail!(NOT_FOUND);
    };
    if let Some(ended) = login.ended() {
        bail!(
            "the login at {} has ended at {ended:.0}; {}",
            shown(&login.url),
            login.again()
        );
    }
    let secret = match login.kind {
        Kind::AuthorizationToken => login.secret.clone(),
        Kind::ApiKey => {
            let certificates = connection.ca_certificate.as_ref();
            let certificates = certificates.or(login.ca_certificate.as_ref());
            let credential = Credential::Saved(Box::new(login.clone()));
            let client = Client::at(
                login.url.clone(),
                credential,
                certificates.map(std::path::PathBuf::as_path),
            )?;
            login::mint(&client).await?.secret
        }
    };
    Ok(Some(json!({
        "ServerURL": server,
        "Username": TOKEN,
        "Secret": secret.reveal(),
    })))
}

async fn store(connection: &Connection) -> Result<Option<Value>> {
    let given: Given =
        serde_json::from_str(&input()?).context("a JSON object with a login is expected")?;
    let file = LoginsFile::needed()?;
    let (url, secret) = (
        url_of(&given.server, &file.read()?)?,
        Secret::new(given.secret),
    );
    if given.user == IDENTITY && kind_of(&secret).is_none() {
        bail!(
            "this token is not one of Landfall; keep only Landfall's logins here, by naming it \
             under `credHelpers`"
        );
    }
    if is_exposed(&url) {
        bail!("{} is not HTTPS; {}", shown(&url), again(&url));
    }
    let certificates = connection.ca_certificate.as_deref();
    let login = login::log_in(&url, given.user, secret, certificates)
        .await
        .with_context(|| format!("no login at {}", shown(&url)))?;
    login::keep(&file, &login, Logins::keep_beside, connection).await?;
    Ok(None)
}

fn again(url: &Url) -> String {
    format!("run `landfall login {}`", shown(url))
}

async fn erase(connection: &Connection) -> Result<Option<Value>> {
    let server = input()?;
    let file = LoginsFile::needed()?;
    if let Some(login) = file.change(|logins| logins.forget(host(&server)))? {
        login::revoke(&login, connection).await;
    }
    Ok(None)
}

fn list() -> Result<Option<Value>> {
    let logins = LoginsFile::needed()?.read()?;
    let all: Map<String, Value> = logins
        .all()
        .map(|(host, login)| (host.to_owned(), json!(login.user)))
        .collect();
    Ok(Some(Value::Object(all)))
}

/// Standard input, without the end of its line.
fn input() -> Result<String> {
    let mut text = String::new();
    io::stdin()
        .take(LONGEST)
        .read_to_string(&mut text)
        .context("standard input can't be read")?;
    Ok(text.trim().to_owned())
}

/// The host of a server as clients name it: alone, or as a URL.
fn host(server: &str) -> &str {
    let rest = server.split_once("://").map_or(server, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or(rest);
    host.strip_suffix(":443").unwrap_or(host)
}

/// The URL of a server as clients name it: the one of its login, if there is
/// one.
fn url_of(server: &str, logins: &Logins) -> Result<Url> {
    match logins.at(host(server)) {
        Some(login) => Ok(login.url.clone()),
        None => server_url(host(server)).map_err(|error| anyhow!(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_its_host_whatever_form_it_comes_in() {
        for (server, expected) in [
            ("registry.example", "registry.example"),
            ("registry.example:443", "registry.example"),
            ("https://registry.example/v1/", "registry.example"),
            ("http://127.0.0.1:5000", "127.0.0.1:5000"),
        ] {
            assert_eq!(host(server), expected);
        }
    }
}
