//! `/api/v1` from outside: every endpoint, its errors and its document.

mod access;
mod accounts;
mod decisions;
mod discretion;
mod document;
mod identities;
mod images;
mod layers;
mod operation;
mod policies;
mod repositories;
mod routes;
mod tags;
mod token_service;

use reqwest::{Method, Response};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    server::{Options, Server},
    session::Session,
};

/// A server with its folder, and the administrator's session with it.
struct World {
    server: Server,
    session: Session,
    _directory: TempDir,
}

impl World {
    fn start() -> Self {
        Self::start_with(&Options::default())
    }

    fn start_with(options: &Options) -> Self {
        let directory = tempfile::tempdir().expect("scratch directory");
        let server = Server::start_with(&directory.path().join("data"), options);
        let session = Session::of(&server);
        Self {
            server,
            session,
            _directory: directory,
        }
    }

    /// Sends a request without a body.
    async fn call(&self, method: Method, path: &str) -> Response {
        self.session
            .request(method, path)
            .send()
            .await
            .expect("answer")
    }

    /// Sends a request with a JSON body.
    async fn post(&self, path: &str, body: &Value) -> Response {
        let request = self.session.request(Method::POST, path);
        request.json(body).send().await.expect("answer")
    }
}

/// Fails unless the answer is this problem (RFC 9457); gives its sentence.
async fn problem(response: Response, status: u16, kind: &str) -> String {
    let url = response.url().clone();
    let content_type = response.headers().get("content-type").cloned();
    let found = response.status().as_u16();
    let text = response.text().await.expect("a body");
    assert_eq!(found, status, "{url}: {text}");
    let json = content_type.expect("a content type");
    assert_eq!(json, "application/problem+json", "{url}");
    let body: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(body["type"], format!("/problems/{kind}"), "{url}");
    assert_eq!(body["status"], status, "{url}");
    assert_eq!(body["title"], kind.replace('-', " "), "{url}");
    let detail = body["detail"].as_str().expect("a sentence").to_owned();
    assert!(
        !detail.is_empty() && !detail.ends_with('.'),
        "{url}: {detail}"
    );
    detail
}

/// The items of a listing.
fn items(listing: &Value) -> &Vec<Value> {
    listing["items"].as_array().expect("a listing")
}

/// Walks through a listing, page by page, and checks the size of each page.
async fn walk(session: &Session, path: &str, limit: usize) -> Vec<Value> {
    let mut all = Vec::new();
    let mut last = String::new();
    loop {
        let page = session.json(&format!("{path}?limit={limit}{last}")).await;
        let found = items(&page);
        all.extend(found.iter().cloned());
        let Some(next) = page["next"].as_str() else {
            assert!(page.get("next").is_none(), "`next` is there and no text");
            assert!(
                found.len() <= limit && !all.is_empty(),
                "the last page of {path}"
            );
            return all;
        };
        assert_eq!(found.len(), limit, "a page of {path} before the last");
        last = format!("&last={}", next.replace('/', "%2F").replace(':', "%3A"));
    }
}
