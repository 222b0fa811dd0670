//! The HTTP client of the commands.

use std::{io, path::Path};

use anyhow::{Context, Result, anyhow, bail};
use landfall_identity::Secret;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Certificate, Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::Value;

use crate::{
    cli::Connection,
    login::{Logins, LoginsFile, SavedLogin, TOKEN, server_url, shown, warn_if_exposed},
};

/// The server that is meant where none is named and none was logged in to.
pub(crate) const DEFAULT_SERVER: &str = "http://127.0.0.1:5000";
/// Who is meant where nobody is named.
pub(crate) const DEFAULT_USER: &str = "admin";

/// What a request says about who sends it.
#[derive(Debug, Clone)]
pub(crate) enum Credential {
    /// Nothing.
    None,
    /// A name and a password; an API key or a token may be the password.
    Password(String, Secret),
    /// A token or an API key.
    Bearer(Secret),
    /// What `landfall login` has kept.
    Saved(Box<SavedLogin>),
}

/// A server and how to log in.
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    credential: Credential,
}

impl Client {
    /// The server and the credential of the command line or the environment;
    /// without them, those of the last login.
    pub(crate) fn new(connection: &Connection) -> Result<Self> {
        let logins = match LoginsFile::of_this_user() {
            Some(file) if connection.server.is_none() || connection.password.is_none() => {
                file.read()?
            }
            _ => Logins::default(),
        };
        let base = base_url(connection, &logins)?;
        let credential = credential(connection, &logins, &base)?;
        if matches!(credential, Credential::Password(..)) {
            // Of a login that is kept, this was told when it was made.
            warn_if_exposed(&base);
        }
        let certificates = match (&connection.ca_certificate, &credential) {
            (None, Credential::Saved(login)) => login.ca_certificate.clone(),
            (given, _) => given.clone(),
        };
        Self::at(base, credential, certificates.as_deref())
    }

    /// A client of that server.
    pub(crate) fn at(
        base: Url,
        credential: Credential,
        certificates: Option<&Path>,
    ) -> Result<Self> {
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("landfall/", env!("CARGO_PKG_VERSION")))
            .no_proxy();
        if let Some(path) = certificates {
            let unusable = || format!("`{}` holds no certificates", path.display());
            let pem = std::fs::read(path).with_context(unusable)?;
            for certificate in Certificate::from_pem_bundle(&pem).with_context(unusable)? {
                http = http.add_root_certificate(certificate);
            }
        }
        Ok(Self {
            http: http.build()?,
            base,
            credential,
        })
    }

    /// The credential as a name and a password, if there is one.
    pub(crate) fn name_and_password(&self) -> Option<(&str, &str)> {
        match &self.credential {
            Credential::Password(name, password) => Some((name, password.reveal())),
            Credential::Bearer(secret) => Some((TOKEN, secret.reveal())),
            Credential::Saved(login) => Some((TOKEN, login.secret.reveal())),
            Credential::None => None,
        }
    }

    /// The server's URL.
    pub(crate) const fn base(&self) -> &Url {
        &self.base
    }

    /// Sends a request to `/api/v1/<segments>` and gives the answer, which is
    /// a success.
    pub(crate) async fn send(
        &self,
        method: Method,
        segments: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Response> {
        let mut request = self.request(method, segments, query);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request
            .send()
            .await
            .map_err(|error| self.unreached(error))?;
        if response.status().is_success() {
            Ok(response)
        } else {
            self.refused(response).await
        }
    }

    /// A request to `/api/v1/<segments>` that is still to be sent.
    pub(crate) fn request(
        &self,
        method: Method,
        segments: &[&str],
        query: &[(&str, &str)],
    ) -> RequestBuilder {
        let mut url = self.base.clone();
        // Each is one segment, whatever is in it.
        let encoded = segments.iter().map(|text| {
            let text = utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            text.replace("%3A", ":").replace("%2D", "-")
        });
        url.set_path(&format!(
            "/api/v1/{}",
            encoded.collect::<Vec<_>>().join("/")
        ));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.request(method, url);
        match &self.credential {
            Credential::None => request,
            Credential::Password(name, password) => {
                request.basic_auth(name, Some(password.reveal()))
            }
            Credential::Bearer(secret) => request.bearer_auth(secret.reveal()),
            Credential::Saved(login) => request.bearer_auth(login.secret.reveal()),
        }
    }

    /// Why no answer came, with the way out.
    pub(crate) fn unreached(&self, error: reqwest::Error) -> anyhow::Error {
        let error = anyhow::Error::new(error.without_url());
        let refused = error.chain().any(|cause| {
            let io = cause.downcast_ref::<io::Error>();
            io.is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused)
        });
        if refused {
            return anyhow::anyhow!(
                "no server answers at {}; start one with `landfall serve`, or name another with \
                 `--server`",
                self.base
            );
        }
        if error
            .chain()
            .any(|cause| cause.to_string().contains("certificate"))
        {
            return error.context(format!(
                "the certificate of {} is not trusted; name its authority with `--ca-certificate`",
                self.base
            ));
        }
        error.context(format!("the request to {} failed", self.base))
    }

    /// Why the server would not, with the way out.
    pub(crate) async fn refused(&self, response: Response) -> Result<Response> {
        let status = response.status();
        let problem: Value = response.json().await.unwrap_or_default();
        let detail = match problem["detail"].as_str() {
            Some(detail) => detail.to_owned(),
            None => format!("the server answered {status}"),
        };
        match (status, &self.credential) {
            (StatusCode::UNAUTHORIZED, Credential::None) => bail!(
                "{detail}; run `landfall login {}`, or give the password in LANDFALL_PASSWORD",
                shown(&self.base)
            ),
            (StatusCode::UNAUTHORIZED, Credential::Saved(login)) => bail!(
                "{detail}; the login that was kept is not good any more: {}",
                login.again()
            ),
            (StatusCode::UNAUTHORIZED, _) => {
                bail!("{detail}; check LANDFALL_USER and LANDFALL_PASSWORD")
            }
            _ => bail!("{detail}"),
        }
    }

    /// Sends a request and reads the JSON of the answer.
    pub(crate) async fn call(
        &self,
        method: Method,
        segments: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value> {
        let response = self.send(method, segments, query, body).await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        response
            .json()
            .await
            .context("the server's answer can't be read")
    }

    pub(crate) async fn get(&self, segments: &[&str]) -> Result<Value> {
        self.call(Method::GET, segments, &[], None).await
    }

    /// Every item of a listing, page by page.
    pub(crate) async fn list(&self, segments: &[&str]) -> Result<Vec<Value>> {
        self.list_with(segments, &[]).await
    }

    /// As [`Client::list`], with a query that narrows it.
    pub(crate) async fn list_with(
        &self,
        segments: &[&str],
        narrow: &[(&str, &str)],
    ) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut last = None::<String>;
        loop {
            let mut query = narrow.to_vec();
            query.push(("limit", "1000"));
            if let Some(last) = &last {
                query.push(("last", last));
            }
            let mut page = self.call(Method::GET, segments, &query, None).await?;
            match page["items"].take() {
                Value::Array(more) => items.extend(more),
                _ => bail!("the server's answer is no listing"),
            }
            match page["next"].take() {
                Value::String(next) => last = Some(next),
                _ => return Ok(items),
            }
        }
    }
}

/// The server that is meant. The one that was logged in to last is meant for
/// its own login only: a password that was given, or somebody else, belongs to
/// the default server where none is named.
fn base_url(connection: &Connection, logins: &Logins) -> Result<Url> {
    if let Some(server) = &connection.server {
        return server_url(server).map_err(|error| anyhow!(error));
    }
    let named = connection.user.as_ref();
    let current = logins.current().filter(|login| {
        connection.password.is_none() && named.is_none_or(|user| *user == login.user)
    });
    match current {
        Some(login) => Ok(login.url.clone()),
        None => Ok(Url::parse(DEFAULT_SERVER)?),
    }
}

/// The password that was given, or what was kept for the server. A login of
/// somebody else than was named is not used.
fn credential(connection: &Connection, logins: &Logins, base: &Url) -> Result<Credential> {
    if let Some(password) = &connection.password {
        let user = connection.user.as_deref().unwrap_or(DEFAULT_USER);
        let password = Secret::new(password);
        return Ok(Credential::Password(user.to_owned(), password));
    }
    let kept = logins.of(base).filter(|login| {
        let named = connection.user.as_ref();
        named.is_none_or(|user| *user == login.user)
    });
    let Some(login) = kept else {
        return Ok(Credential::None);
    };
    if let Some(ended) = login.ended() {
        bail!(
            "the login at {} has ended at {ended:.0}; {}",
            shown(&login.url),
            login.again()
        );
    }
    Ok(Credential::Saved(Box::new(login.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::Format, login::Kind};

    fn connection(server: Option<&str>, user: Option<&str>, password: Option<&str>) -> Connection {
        Connection {
            server: server.map(str::to_owned),
            user: user.map(str::to_owned),
            password: password.map(str::to_owned),
            ca_certificate: None,
            output: Format::Table,
        }
    }

    fn logged_in_at(server: &str) -> Logins {
        let mut logins = Logins::default();
        logins.keep(SavedLogin {
            url: server_url(server).expect("a URL"),
            user: "acme/alice".to_owned(),
            kind: Kind::ApiKey,
            secret: Secret::new("lfk_1_2"),
            id: None,
            expires: None,
            ca_certificate: None,
        });
        logins
    }

    #[test]
    fn a_password_does_not_go_to_a_server_that_only_somebody_logged_in_to() {
        let logins = logged_in_at("https://other.example");
        let (other, default) = ("https://other.example/", "http://127.0.0.1:5000/");
        for (user, password, expected) in [
            (None, None, other),
            (Some("acme/alice"), None, other),
            (Some("acme/bob"), None, default),
            (None, Some("a password"), default),
            (Some("acme/alice"), Some("a password"), default),
        ] {
            let base = base_url(&connection(None, user, password), &logins).expect("a URL");
            assert_eq!(base.as_str(), expected, "{user:?}");
        }
    }

    #[test]
    fn a_server_is_named_as_for_the_login_and_its_login_is_found() {
        let logins = logged_in_at("registry.example");
        let connection = connection(Some("registry.example"), None, None);
        let base = base_url(&connection, &logins).expect("a URL");
        assert_eq!(base.as_str(), "https://registry.example/");
        let credential = credential(&connection, &logins, &base).expect("a credential");
        assert!(matches!(credential, Credential::Saved(_)), "{credential:?}");
    }
}
