//! The HTTP client of the commands.

use std::io;

use anyhow::{Context, Result, bail};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Certificate, Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::Value;

use crate::cli::Connection;

/// A server and how to log in.
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    user: String,
    password: Option<String>,
}

impl Client {
    pub(crate) fn new(connection: &Connection) -> Result<Self> {
        let server = &connection.server;
        let server = if server.contains("://") {
            server.clone()
        } else {
            format!("http://{server}")
        };
        let base = Url::parse(&server).with_context(|| format!("`{server}` is no URL"))?;
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("landfall/", env!("CARGO_PKG_VERSION")))
            .no_proxy();
        if let Some(path) = &connection.ca_certificate {
            let unusable = || format!("`{}` holds no certificates", path.display());
            let pem = std::fs::read(path).with_context(unusable)?;
            for certificate in Certificate::from_pem_bundle(&pem).with_context(unusable)? {
                http = http.add_root_certificate(certificate);
            }
        }
        let http = http.build()?;
        let (user, password) = (connection.user.clone(), connection.password.clone());
        Ok(Self {
            http,
            base,
            user,
            password,
        })
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
        let mut request = self.http.request(method, url);
        if let Some(password) = &self.password {
            request = request.basic_auth(&self.user, Some(password));
        }
        request
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
        match (status, &self.password) {
            (StatusCode::UNAUTHORIZED, None) => {
                bail!("{detail}; give the password in LANDFALL_PASSWORD")
            }
            (StatusCode::UNAUTHORIZED, Some(_)) => {
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
