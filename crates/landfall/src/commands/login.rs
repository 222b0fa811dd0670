//! `landfall login` and `landfall logout`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use jiff::Timestamp;
use landfall_identity::Secret;
use reqwest::{Method, StatusCode, Url};
use serde_json::{Value, json};

use crate::{
    cli::{Connection, Format, LoginArguments, LogoutArguments},
    client::{Client, Credential, DEFAULT_SERVER, DEFAULT_USER},
    login::{
        Kind, Logins, LoginsFile, SavedLogin, TOKEN, authority, kind_of, prompt, server_url, shown,
        warn_if_exposed,
    },
    output,
};

/// How long the revocation of a token that is forgotten may take.
const REVOCATION: Duration = Duration::from_secs(5);

/// Logs in, and keeps the login.
pub(super) async fn run(
    connection: &Connection,
    arguments: LoginArguments,
    format: Format,
) -> Result<()> {
    let file = LoginsFile::needed()?;
    let url = match arguments.url.as_ref().or(connection.server.as_ref()) {
        Some(text) => server_url(text).map_err(|error| anyhow!(error))?,
        // A password of the command line or the environment is not meant for
        // the server that was logged in to last; what is typed now is.
        None => match file.read()?.current() {
            Some(login) if arguments.password_stdin || connection.password.is_none() => {
                login.url.clone()
            }
            _ => Url::parse(DEFAULT_SERVER)?,
        },
    };
    let (user, secret) = told(connection, arguments.password_stdin).await?;
    warn_if_exposed(&url);
    let certificates = connection.ca_certificate.as_deref();
    let login = log_in(&url, user, secret, certificates).await?;
    keep(&file, &login, Logins::keep, connection).await?;
    match format {
        Format::Json => output::json(&json!({
            "url": login.url,
            "user": login.user,
            "kind": login.kind,
            "expires": login.expires,
        })),
        Format::Table => output::line(&match login.expires {
            Some(expires) => format!(
                "logged in at {} as {}, until {expires:.0}",
                shown(&login.url),
                login.user
            ),
            None => format!("logged in at {} as {}", shown(&login.url), login.user),
        }),
    }
    Ok(())
}

/// Who logs in and with what: as it was given, or asked for.
async fn told(connection: &Connection, from_stdin: bool) -> Result<(String, Secret)> {
    let user = |given: &Option<String>| given.clone().unwrap_or_else(|| DEFAULT_USER.to_owned());
    if from_stdin {
        return Ok((user(&connection.user), prompt::from_stdin()?));
    }
    if let Some(password) = &connection.password {
        return Ok((user(&connection.user), Secret::new(password)));
    }
    let named = if connection.user.is_some() {
        connection.user.clone()
    } else {
        let question = format!("User, as ACCOUNT/NAME [{DEFAULT_USER}]");
        let typed = prompt::name(&question).await?;
        (!typed.is_empty()).then_some(typed)
    };
    let password = prompt::password("Password, API key or token").await?;
    Ok((user(&named), password))
}

/// Proves a secret to a server, and makes of it what is kept.
pub(super) async fn log_in(
    url: &Url,
    user: String,
    secret: Secret,
    certificates: Option<&Path>,
) -> Result<SavedLogin> {
    // The credential helper runs in another folder.
    let certificates = match certificates {
        Some(path) => Some(std::path::absolute(path).context("the certificate can't be found")?),
        None => None,
    };
    let kind = kind_of(&secret);
    let credential = match kind {
        Some(_) => Credential::Bearer(secret.clone()),
        None => Credential::Password(user.clone(), secret.clone()),
    };
    let client = Client::at(url.clone(), credential, certificates.as_deref())?;
    let kept = |secret, user, told: &Token| SavedLogin {
        url: url.clone(),
        user,
        kind: kind.unwrap_or(Kind::AuthorizationToken),
        secret,
        id: told.id.clone(),
        expires: told.expires,
        ca_certificate: certificates.clone(),
    };
    if kind == Some(Kind::AuthorizationToken) {
        // A token makes no token of its own; asking for who it is tells that it
        // is good.
        let me = client.get(&["principals", "~"]).await?;
        let user = me["name"].as_str().unwrap_or(TOKEN).to_owned();
        return Ok(kept(secret, user, &Token::default()));
    }
    let token = mint(&client).await?;
    let named = token.principal.clone().unwrap_or(user);
    if kind == Some(Kind::ApiKey) {
        // The key can make another one at any time.
        end(&client, &token).await;
        return Ok(kept(secret, named, &Token::default()));
    }
    let made = token.secret.clone();
    Ok(kept(made, named, &token))
}

/// An authorization token that a server has made.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) secret: Secret,
    id: Option<String>,
    expires: Option<Timestamp>,
    principal: Option<String>,
}

impl Default for Token {
    fn default() -> Self {
        Self {
            secret: Secret::new(""),
            id: None,
            expires: None,
            principal: None,
        }
    }
}

/// Has the server make an authorization token for whoever the client is.
pub(super) async fn mint(client: &Client) -> Result<Token> {
    let path = ["authorization-tokens"];
    let made = client
        .call(Method::POST, &path, &[], Some(&json!({})))
        .await?;
    let field = |name: &str| made[name].as_str().map(str::to_owned);
    let secret = field("token").context("the server's answer has no token")?;
    Ok(Token {
        secret: Secret::new(secret),
        id: field("id"),
        expires: field("expires").and_then(|time| time.parse().ok()),
        principal: field("principal"),
    })
}

/// Revokes a token that nobody needs, if that is possible.
async fn end(client: &Client, token: &Token) {
    if let Some(id) = &token.id {
        let path = ["authorization-tokens", id.as_str()];
        let _ = client.call(Method::DELETE, &path, &[], None).await;
    }
}

/// Forgets a login, and revokes its token.
pub(super) async fn forget(
    connection: &Connection,
    arguments: LogoutArguments,
    format: Format,
) -> Result<()> {
    let file = LoginsFile::needed()?;
    let logins = file.read()?;
    let hosts: Vec<String> = if arguments.all {
        logins.all().map(|(host, _)| host.to_owned()).collect()
    } else {
        let named = arguments.url.as_ref().or(connection.server.as_ref());
        let url = match (named, logins.current()) {
            (Some(text), _) => server_url(text).map_err(|error| anyhow!(error))?,
            (None, Some(login)) => login.url.clone(),
            (None, None) => bail!("there is no current login; name the server, or use `--all`"),
        };
        let host = authority(&url);
        if logins.at(&host).is_none() {
            bail!("there is no login at {}", shown(&url));
        }
        vec![host]
    };
    let mut forgotten = Vec::new();
    for host in hosts {
        if let Some(login) = file.change(|logins| logins.forget(&host))? {
            revoke(&login, connection).await;
            forgotten.push(shown(&login.url).to_owned());
        }
    }
    match format {
        Format::Json => output::json(&Value::from(forgotten)),
        Format::Table => {
            for url in &forgotten {
                output::line(&format!("logged out at {url}"));
            }
        }
    }
    Ok(())
}

/// Keeps a login by one of the ways of [`Logins`], and revokes the token that it
/// takes the place of; its own, if it can't be kept.
pub(super) async fn keep(
    file: &LoginsFile,
    login: &SavedLogin,
    how: fn(&mut Logins, SavedLogin) -> Option<SavedLogin>,
    connection: &Connection,
) -> Result<()> {
    let kept = login.clone();
    match file.change(|logins| how(logins, kept)) {
        Ok(Some(before)) if before.secret.reveal() != login.secret.reveal() => {
            revoke(&before, connection).await;
        }
        Ok(_) => {}
        Err(error) => {
            revoke(login, connection).await;
            return Err(error);
        }
    }
    Ok(())
}

/// Revokes the token of a login that was just forgotten, if the server can be
/// reached soon. An API key stays: it may be used elsewhere.
pub(super) async fn revoke(login: &SavedLogin, connection: &Connection) {
    if login.kind != Kind::AuthorizationToken || login.ended().is_some() {
        return;
    }
    let Some(id) = &login.id else {
        return;
    };
    let certificates = connection.ca_certificate.as_ref();
    let certificates = certificates.or(login.ca_certificate.as_ref());
    let revoked = async {
        let credential = Credential::Saved(Box::new(login.clone()));
        let client = Client::at(
            login.url.clone(),
            credential,
            certificates.map(PathBuf::as_path),
        )?;
        let path = ["authorization-tokens", id.as_str()];
        let request = client.request(Method::DELETE, &path, &[]);
        let answer = request.send().await;
        let answer = answer.map_err(|error| client.unreached(error))?;
        let status = answer.status();
        // What is not good any more needs no revocation.
        if status.is_success() || status == StatusCode::UNAUTHORIZED {
            return Ok(());
        }
        client.refused(answer).await.map(drop)
    };
    let revoked = match tokio::time::timeout(REVOCATION, revoked).await {
        Ok(revoked) => revoked,
        Err(_) => Err(anyhow!("{} does not answer", shown(&login.url))),
    };
    if let Err(error) = revoked {
        output::warn(&format!(
            "warning: the token was forgotten, but not revoked: {error:#}"
        ));
    }
}
