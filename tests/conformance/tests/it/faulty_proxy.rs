//! A proxy in front of docker-registry. It can add what docker-registry lacks
//! ([`Supplement`]), so that the checks for it have something to pass on; and
//! it hands answers on with one fault in them, to see that the checks notice.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::supplement::Supplement;

/// A request and the answer to it, before it is handed on.
pub(crate) struct Exchange {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) content_range: Option<String>,
    pub(crate) sent: Vec<u8>,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Exchange {
    /// Whether the request was a GET or HEAD.
    pub(crate) fn is_read(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD
    }

    /// Whether the answer is the 201 to a push.
    pub(crate) fn is_created(&self) -> bool {
        self.status == 201
    }

    /// Whether the path has this in it.
    pub(crate) fn is_about(&self, part: &str) -> bool {
        self.uri.path().contains(part)
    }

    /// Whether the query string has this in it.
    pub(crate) fn asks_for(&self, part: &str) -> bool {
        self.uri.query().is_some_and(|query| query.contains(part))
    }

    /// Changes a body in JSON.
    pub(crate) fn edit(&mut self, change: impl FnOnce(&mut Value)) {
        if let Ok(mut document) = serde_json::from_slice(&self.body) {
            change(&mut document);
            self.body = document.to_string().into_bytes();
        }
    }

    /// Puts another text into the body, wherever this one is.
    pub(crate) fn replace(&mut self, text: &str, other: &str) {
        self.body = String::from_utf8_lossy(&self.body)
            .replace(text, other)
            .into_bytes();
    }

    /// Gives the answer another value of a header.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.headers
            .insert(name, HeaderValue::from_str(value).expect("a header value"));
    }
}

/// One fault.
pub(crate) type Fault = fn(&mut Exchange);

/// No fault.
pub(crate) const FAULTLESS: Fault = |_| ();

#[derive(Clone)]
struct Proxy {
    http: reqwest::Client,
    upstream: String,
    supplement: Arc<Mutex<Supplement>>,
    fault: Fault,
}

/// Starts a proxy in front of `upstream`; its URL. It ends with the runtime.
pub(crate) async fn start(upstream: &str, fault: Fault) -> String {
    let proxy = Proxy {
        http: reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("an HTTP client"),
        upstream: upstream.to_owned(),
        supplement: Arc::default(),
        fault,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    let router = Router::new().fallback(forward).with_state(proxy);
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

async fn forward(State(proxy): State<Proxy>, request: Request) -> Response {
    let Some(mut exchange) = exchange(&proxy, request).await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    (proxy.fault)(&mut exchange);
    let status = StatusCode::from_u16(exchange.status).expect("a status");
    if exchange.method != Method::HEAD {
        exchange.headers.remove("content-length");
    }
    (status, exchange.headers, Body::from(exchange.body)).into_response()
}

async fn exchange(proxy: &Proxy, request: Request) -> Option<Exchange> {
    let (parts, body) = request.into_parts();
    let sent = to_bytes(body, usize::MAX).await.ok()?.to_vec();
    let content_range = parts.headers.get("content-range");
    let content_range = content_range.map(|range| range.to_str().unwrap_or_default().to_owned());
    let mut exchange = Exchange {
        method: parts.method,
        uri: parts.uri,
        content_range,
        sent,
        status: 502,
        headers: HeaderMap::new(),
        body: Vec::new(),
    };
    if proxy.supplement.lock().ok()?.answers(&mut exchange) {
        return Some(exchange);
    }
    let mut headers = parts.headers;
    headers.remove("transfer-encoding");
    let url = format!("{}{}", proxy.upstream, exchange.uri);
    let call = proxy
        .http
        .request(exchange.method.clone(), url)
        .headers(headers);
    let answer = call.body(exchange.sent.clone()).send().await.ok()?;
    exchange.status = answer.status().as_u16();
    exchange.headers = answer.headers().clone();
    exchange.body = answer.bytes().await.unwrap_or_default().into();
    proxy.supplement.lock().ok()?.amends(&mut exchange);
    Some(exchange)
}
