//! What docker-registry 2.8 lacks and the specification has, as little of it
//! as the checks need: referrers, deletion of tags, lists of tags in order and
//! in pages, chunks in order.

use std::collections::{HashMap, HashSet};

use axum::http::Method;
use serde_json::{Value, json};

use crate::faulty_proxy::Exchange;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Referrers on one page.
const PAGE: usize = 4;

/// What docker-registry would have to remember.
#[derive(Default)]
pub(crate) struct Supplement {
    /// Descriptors of referrers by repository and subject, in order of pushes.
    referrers: HashMap<(String, String), Vec<Value>>,
    /// Tags that were deleted, by repository.
    deleted: HashSet<(String, String)>,
    /// Tags that were pushed, by repository.
    tags: HashMap<String, HashSet<String>>,
    /// Bytes received by session, by the path of the session.
    received: HashMap<String, usize>,
}

/// Repository and last component of a path such as `/v2/<name>/manifests/<x>`.
fn split<'a>(exchange: &'a Exchange, kind: &str) -> Option<(&'a str, &'a str)> {
    exchange.uri.path().strip_prefix("/v2/")?.rsplit_once(kind)
}

fn parameter(exchange: &Exchange, key: &str) -> Option<String> {
    let url = format!("http://h/?{}", exchange.uri.query()?);
    let url = reqwest::Url::parse(&url).ok()?;
    let mut pairs = url.query_pairs();
    pairs
        .find(|(name, _)| name == key)
        .map(|(_, value)| value.into_owned())
}

fn answer(exchange: &mut Exchange, status: u16, media_type: &str, body: &Value) {
    exchange.status = status;
    exchange.set("content-type", media_type);
    exchange.body = body.to_string().into_bytes();
}

fn refuse(exchange: &mut Exchange, status: u16, code: &str) {
    let body = json!({"errors": [{"code": code, "message": "no"}]});
    answer(exchange, status, "application/json", &body);
}

impl Supplement {
    /// Answers what docker-registry would not; false if it is to be asked.
    pub(crate) fn answers(&mut self, exchange: &mut Exchange) -> bool {
        if let Some((name, subject)) = owned(split(exchange, "/referrers/")) {
            self.list_referrers(exchange, name, subject);
            return true;
        }
        if let Some(status) = self.refuses_chunk(exchange) {
            refuse(exchange, status, "BLOB_UPLOAD_INVALID");
            return true;
        }
        if let Some((name, reference)) = owned(split(exchange, "/manifests/")) {
            let key = (name, reference);
            if exchange.is_read() && self.deleted.contains(&key) {
                refuse(exchange, 404, "MANIFEST_UNKNOWN");
                return true;
            }
            if exchange.method == Method::DELETE && !key.1.contains(':') {
                let known = self
                    .tags
                    .get_mut(&key.0)
                    .is_some_and(|tags| tags.remove(&key.1));
                if known {
                    exchange.status = 202;
                    self.deleted.insert(key);
                } else {
                    refuse(exchange, 404, "MANIFEST_UNKNOWN");
                }
                return true;
            }
        }
        false
    }

    /// The status that refuses a chunk, if its range is not the next one.
    fn refuses_chunk(&self, exchange: &Exchange) -> Option<u16> {
        let range = exchange.content_range.as_ref()?;
        let ends = range
            .split_once('-')
            .map(|(first, last)| (first.parse(), last.parse()));
        let Some((Ok(first), Ok(last))) = ends else {
            return Some(400);
        };
        let next = self.received.get(exchange.uri.path()).copied().unwrap_or(0);
        let (first, last): (usize, usize) = (first, last);
        if first != next {
            return Some(416);
        }
        (last + 1 != first + exchange.sent.len()).then_some(400)
    }

    fn list_referrers(&self, exchange: &mut Exchange, name: String, subject: String) {
        let hex = subject.split_once(':').map(|(_, hex)| hex);
        if hex.is_none_or(|hex| hex.len() < 64) {
            return refuse(exchange, 400, "DIGEST_INVALID");
        }
        let mut found = self
            .referrers
            .get(&(name, subject))
            .cloned()
            .unwrap_or_default();
        if let Some(wanted) = parameter(exchange, "artifactType") {
            found.retain(|descriptor| descriptor["artifactType"] == wanted);
            exchange.set("oci-filters-applied", "artifactType");
        }
        // Few to a page, so that links have to be followed.
        let from: usize = parameter(exchange, "from")
            .and_then(|n| n.parse().ok())
            .unwrap_or(0);
        let page: Vec<Value> = found.iter().skip(from).take(PAGE).cloned().collect();
        if found.len() > from + PAGE {
            let next = format!(
                "<{}?from={}>; rel=\"next\"",
                exchange.uri.path(),
                from + PAGE
            );
            exchange.set("link", &next);
        }
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": page});
        answer(exchange, 200, INDEX, &index);
    }

    /// Completes an answer of docker-registry.
    pub(crate) fn amends(&mut self, exchange: &mut Exchange) {
        if exchange.method == Method::PATCH && exchange.status == 202 {
            let range = exchange
                .headers
                .get("range")
                .and_then(|range| range.to_str().ok());
            let last = range.and_then(|range| range.strip_prefix("0-")?.parse::<usize>().ok());
            self.received.insert(
                exchange.uri.path().to_owned(),
                last.map_or(0, |last| last + 1),
            );
        }
        if let Some((name, "")) = split(exchange, "/tags/list") {
            let name = name.to_owned();
            self.list_tags(exchange, &name);
        } else if let Some((name, reference)) = owned(split(exchange, "/manifests/")) {
            if exchange.method == Method::PUT && exchange.is_created() {
                self.remember(exchange, name, reference);
            } else if exchange.method == Method::DELETE && exchange.status == 202 {
                for ((of, _), referrers) in &mut self.referrers {
                    referrers.retain(|one| *of != name || one["digest"] != reference.as_str());
                }
            }
        }
    }

    fn remember(&mut self, exchange: &mut Exchange, name: String, reference: String) {
        self.deleted.remove(&(name.clone(), reference.clone()));
        if !reference.contains(':') {
            self.tags.entry(name.clone()).or_default().insert(reference);
        }
        let manifest: Value = serde_json::from_slice(&exchange.sent).unwrap_or_default();
        let Some(subject) = manifest["subject"]["digest"].as_str() else {
            return;
        };
        exchange.set("oci-subject", subject);
        let digest = exchange.headers["docker-content-digest"]
            .to_str()
            .unwrap_or_default();
        let mut descriptor = json!({"mediaType": manifest["mediaType"], "digest": digest,
            "size": exchange.sent.len(), "annotations": manifest["annotations"]});
        let own = manifest["artifactType"]
            .as_str()
            .filter(|kind| !kind.is_empty());
        if let Some(kind) = own.or(manifest["config"]["mediaType"].as_str()) {
            descriptor["artifactType"] = json!(kind);
        }
        let referrers = self
            .referrers
            .entry((name, subject.to_owned()))
            .or_default();
        referrers.retain(|one| one["digest"] != digest);
        referrers.push(descriptor);
    }

    fn list_tags(&self, exchange: &mut Exchange, name: &str) {
        let mut list: Value = serde_json::from_slice(&exchange.body).unwrap_or_default();
        let Some(all) = list["tags"].as_array() else {
            return;
        };
        let mut tags: Vec<String> = all
            .iter()
            .filter_map(|tag| Some(tag.as_str()?.into()))
            .collect();
        tags.retain(|tag| !self.deleted.contains(&(name.to_owned(), tag.clone())));
        tags.sort();
        if let Some(last) = parameter(exchange, "last") {
            tags.retain(|tag| *tag > last);
        }
        if let Some(n) = parameter(exchange, "n") {
            let Ok(n) = n.parse::<usize>() else {
                return refuse(exchange, 400, "UNSUPPORTED");
            };
            if n > 0 && n < tags.len() {
                let end = &tags[n - 1];
                exchange.set(
                    "link",
                    &format!("</v2/{name}/tags/list?n={n}&last={end}>; rel=\"next\""),
                );
            }
            tags.truncate(n);
        }
        list["tags"] = json!(tags);
        exchange.body = list.to_string().into_bytes();
    }
}

fn owned(pair: Option<(&str, &str)>) -> Option<(String, String)> {
    pair.map(|(name, rest)| (name.to_owned(), rest.to_owned()))
}
