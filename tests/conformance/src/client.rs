//! Requests exactly as a check wants them: any header, any body, any location.

use std::{convert::Infallible, fmt::Write, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use reqwest::{
    Method, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
};

use crate::{
    Failure, Target,
    answer::Answer,
    auth::{Login, Need},
    fixture::unique,
    repository::Repository,
};

/// A registry that does not answer within this time has failed the check.
const PATIENCE: Duration = Duration::from_mins(1);

/// How much of a query parameter a failure shows, in characters.
const SHOWN: usize = 32;

/// How many bytes a streamed body hands over at a time.
const PIECE: usize = 8 * 1024;

/// A client of one registry. Clones share connections and logins.
#[derive(Debug, Clone)]
pub struct Registry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    http: reqwest::Client,
    base: Url,
    login: Login,
    target: Target,
}

impl Registry {
    /// A client of the registry that `target` names.
    pub fn new(target: Target) -> Result<Self, Failure> {
        let unusable = || Failure::Unusable {
            given: target.url.clone(),
            purpose: "the URL of a registry",
        };
        let base = Url::parse(&target.url).map_err(|_| unusable())?;
        let mut builder = reqwest::Client::builder().timeout(PATIENCE);
        if matches!(base.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|_| unusable())?;
        let login = Login::new(&target);
        Ok(Self(Arc::new(Inner {
            http,
            base,
            login,
            target,
        })))
    }

    /// A repository that nobody used before.
    pub(crate) fn repository(&self) -> Repository {
        self.repository_named(format!("{}/{}", self.0.target.namespace, unique()))
    }

    /// A repository that nobody used before, in the other namespace.
    pub(crate) fn other_repository(&self) -> Repository {
        self.repository_named(format!("{}/{}", self.0.target.other_namespace, unique()))
    }

    /// A repository below the namespace with a name of the check's choice,
    /// well-formed or not.
    pub(crate) fn repository_below(&self, rest: &str) -> Repository {
        self.repository_named(format!("{}/{rest}", self.0.target.namespace))
    }

    fn repository_named(&self, name: String) -> Repository {
        Repository {
            registry: self.clone(),
            name,
        }
    }

    /// A request for a path of the registry.
    pub(crate) fn request(&self, method: Method, path: &str) -> Request {
        let mut url = self.0.base.clone();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let whole = format!("{}{path}", self.0.base.path().trim_end_matches('/'));
        url.set_path(&whole);
        url.set_query((!query.is_empty()).then_some(query));
        self.request_url(method, url)
    }

    /// A request for a location that the registry gave.
    pub(crate) fn request_url(&self, method: Method, url: Url) -> Request {
        Request {
            registry: self.clone(),
            method,
            url,
            headers: HeaderMap::new(),
            body: Body::None,
            anonymous: false,
            unusable: None,
        }
    }
}

/// A request before it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    registry: Registry,
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Body,
    anonymous: bool,
    /// A header value of this request that is none; told when it is sent.
    unusable: Option<String>,
}

#[derive(Debug, Clone)]
enum Body {
    None,
    /// Sent with a `Content-Length`.
    Whole(Bytes),
    /// Sent without a length, in pieces.
    Streamed(Bytes),
}

impl Request {
    /// Adds a header; a header of that name that is there already stays.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => {
                self.headers.append(HeaderName::from_static(name), value);
            }
            Err(_) => self.unusable = Some(value.to_owned()),
        }
        self
    }

    /// Adds a query parameter, percent-encoded.
    pub(crate) fn query(mut self, key: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(key, value);
        self
    }

    /// A body with its length told in advance.
    pub(crate) fn body(mut self, bytes: impl Into<Bytes>) -> Self {
        self.body = Body::Whole(bytes.into());
        self
    }

    /// A body whose length the registry learns at its end.
    pub(crate) fn streamed(mut self, bytes: impl Into<Bytes>) -> Self {
        self.body = Body::Streamed(bytes.into());
        self
    }

    /// Sends no credentials, whatever the registry asks for.
    pub(crate) fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// Sends the request, logs in if the registry asks for it, and reads the
    /// whole answer.
    pub(crate) async fn send(self) -> Result<Answer, Failure> {
        if let Some(given) = self.unusable {
            return Err(Failure::Unusable {
                given,
                purpose: "a header value",
            });
        }
        if self.anonymous {
            return self.attempt(None).await;
        }
        let need = Need::of(&self.method, &self.url);
        let login = &self.registry.0.login;
        let answer = self.attempt(login.remembered(&need)).await?;
        if answer.status() != 401 {
            return Ok(answer);
        }
        match login
            .answer(&self.registry.0.http, &need, answer.headers())
            .await?
        {
            Some(authorization) => self.attempt(Some(authorization)).await,
            None => Ok(answer),
        }
    }

    async fn attempt(&self, authorization: Option<String>) -> Result<Answer, Failure> {
        let http = &self.registry.0.http;
        let mut call = http.request(self.method.clone(), self.url.clone());
        call = call.headers(self.headers.clone());
        if let Some(authorization) = authorization {
            call = call.header(AUTHORIZATION, authorization);
        }
        call = match &self.body {
            Body::None => call,
            Body::Whole(bytes) => call.body(bytes.clone()),
            Body::Streamed(bytes) => call.body(pieces(bytes)),
        };
        let request = self.describe();
        let no_answer = |source| Failure::NoAnswer {
            request: request.clone(),
            source,
        };
        let response = call.send().await.map_err(no_answer)?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let url = response.url().clone();
        let broken_off = |source| Failure::BrokenOff {
            request: request.clone(),
            status,
            source,
        };
        let body = response.bytes().await.map_err(broken_off)?;
        Ok(Answer::new(request, url, status, headers, body))
    }

    /// Method, path and the headers that make the request what it is.
    fn describe(&self) -> String {
        let mut text = format!("{} {}", self.method, self.url.path());
        for (number, (key, value)) in self.url.query_pairs().enumerate() {
            let mark = if number == 0 { '?' } else { '&' };
            let _ = write!(text, "{mark}{key}={}", shortened(&value));
        }
        for name in ["range", "content-range", "content-type"] {
            if let Some(value) = self.headers.get(name).and_then(|value| value.to_str().ok()) {
                let _ = write!(text, ", {name}: {value}");
            }
        }
        text
    }
}

/// The value of a parameter as a failure shows it.
fn shortened(value: &str) -> String {
    let beginning: String = value.chars().take(SHOWN).collect();
    if beginning.len() == value.len() {
        beginning
    } else {
        format!("{beginning}...")
    }
}

fn pieces(bytes: &Bytes) -> reqwest::Body {
    let pieces: Vec<Result<Bytes, Infallible>> = bytes
        .chunks(PIECE)
        .map(|piece| Ok(bytes.slice_ref(piece)))
        .collect();
    reqwest::Body::wrap_stream(stream::iter(pieces))
}
