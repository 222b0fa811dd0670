//! A registry in this process: it works, until a test has it lie.
//!
//! It speaks HTTP/1.1 by hand, so that it can break off, send too much, and
//! say what no server says.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard},
};

use landfall_oci::{Algorithm, Digest};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.path.contains(part)
    }

    fn field(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// How long the body claims to be; its length otherwise.
    pub(crate) claims: Option<usize>,
    /// Goes on with the body without an end.
    pub(crate) is_endless: bool,
}

impl Reply {
    pub(crate) fn new(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    pub(crate) fn with(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.headers.push((name.to_owned(), format!("{value}")));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

/// What is in the registry, and what was asked.
#[derive(Default)]
pub(crate) struct Shelf {
    /// By repository and digest.
    pub(crate) blobs: BTreeMap<(String, String), Vec<u8>>,
    /// By repository and tag or digest: type and bytes.
    pub(crate) manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    uploads: HashMap<String, Vec<u8>>,
    pub(crate) asked: Vec<Asked>,
}

type Lie = Box<dyn Fn(&Asked) -> Option<Reply> + Send + Sync>;

/// A running registry; it ends with the test.
pub(crate) struct Fake {
    pub(crate) host: String,
    shelf: Arc<Mutex<Shelf>>,
    task: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    /// One that works.
    pub(crate) async fn start() -> Self {
        Self::lying(|_| None).await
    }

    /// One that answers some requests with a lie.
    pub(crate) async fn lying(
        lie: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let host = listener.local_addr().expect("an address").to_string();
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        let lie: Arc<Lie> = Arc::new(Box::new(lie));
        let served = Arc::clone(&shelf);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (shelf, lie) = (Arc::clone(&served), Arc::clone(&lie));
                tokio::spawn(async move {
                    let _ = serve(stream, &shelf, &lie).await;
                });
            }
        });
        Self { host, shelf, task }
    }

    pub(crate) fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().expect("no test panics with it")
    }

    /// The place of an image.
    pub(crate) fn place(&self, image: &str) -> String {
        format!("docker://{}/{image}", self.host)
    }

    /// How often something was asked.
    pub(crate) fn count(&self, method: &str, part: &str) -> usize {
        let content = self.shelf();
        content
            .asked
            .iter()
            .filter(|asked| asked.is(method, part))
            .count()
    }
}

async fn serve(stream: TcpStream, shelf: &Mutex<Shelf>, lie: &Lie) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let Some(asked) = read(&mut stream).await? else {
        return Ok(());
    };
    let reply = lie(&asked);
    let reply = {
        let mut shelf = shelf.lock().expect("no test panics with it");
        shelf.asked.push(asked.clone());
        reply.unwrap_or_else(|| answer(&mut shelf, &asked))
    };
    let mut head = format!("HTTP/1.1 {} Told\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    let has_length = reply
        .headers
        .iter()
        .any(|(name, _)| name == "Content-Length");
    if !reply.is_endless && !has_length {
        let length = reply.claims.unwrap_or(reply.body.len());
        head.extend(["Content-Length: ", &length.to_string(), "\r\n"]);
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    if asked.method != "HEAD" {
        stream.write_all(&reply.body).await?;
        if reply.is_endless {
            loop {
                stream.write_all(&[b'x'; 4096]).await?;
            }
        }
    }
    stream.flush().await?;
    stream.shutdown().await
}

async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Asked>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else {
            return Ok(None);
        };
        head.push(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ');
    let method = first.next().unwrap_or_default().to_owned();
    let target = first.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers
        .get("content-length")
        .and_then(|text| text.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await?;
    Ok(Some(Asked {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body,
    }))
}

/// What an honest registry says.
fn answer(shelf: &mut Shelf, asked: &Asked) -> Reply {
    let path = asked.path.trim_start_matches("/v2/").to_owned();
    let split = |word: &str| {
        path.rsplit_once(word)
            .map(|(repository, rest)| (repository.to_owned(), rest.to_owned()))
    };
    if path.is_empty() {
        return Reply::new(200);
    }
    if path == "_catalog" {
        let mut names: Vec<String> = shelf
            .manifests
            .keys()
            .map(|(name, _)| name.clone())
            .collect();
        names.dedup();
        return json(&serde_json::json!({ "repositories": names }));
    }
    if let Some((repository, _)) = split("/tags/list") {
        let tags = shelf.manifests.keys();
        let tags: Vec<&String> = tags
            .filter(|(name, reference)| *name == repository && !reference.contains(':'))
            .map(|(_, reference)| reference)
            .collect();
        return json(&serde_json::json!({ "name": repository, "tags": tags }));
    }
    if let Some((repository, id)) = split("/blobs/uploads/") {
        return upload(shelf, asked, &repository, &id);
    }
    if let Some(key) = split("/blobs/") {
        return match shelf.blobs.get(&key) {
            Some(bytes) => part(asked, bytes),
            None => Reply::new(404),
        };
    }
    let Some((repository, reference)) = split("/manifests/") else {
        return Reply::new(404);
    };
    if asked.method == "PUT" {
        let digest = Digest::of(Algorithm::Sha256, &asked.body).to_string();
        let kind = asked
            .headers
            .get("content-type")
            .cloned()
            .unwrap_or_default();
        for name in [reference, digest.clone()] {
            let kept = (kind.clone(), asked.body.clone());
            shelf.manifests.insert((repository.clone(), name), kept);
        }
        return Reply::new(201).with("Docker-Content-Digest", digest);
    }
    match shelf.manifests.get(&(repository, reference)) {
        Some((kind, bytes)) => Reply::new(200)
            .with("Content-Type", kind)
            .with(
                "Docker-Content-Digest",
                Digest::of(Algorithm::Sha256, bytes),
            )
            .body(bytes.clone()),
        None => Reply::new(404),
    }
}

fn json(value: &serde_json::Value) -> Reply {
    Reply::new(200).body(value.to_string())
}

/// The part of a blob that is asked for.
pub(crate) fn part(asked: &Asked, bytes: &[u8]) -> Reply {
    let range = asked.headers.get("range");
    let start = range.and_then(|range| {
        range
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse::<usize>()
            .ok()
    });
    match start {
        Some(start) if start < bytes.len() => Reply::new(206)
            .with(
                "Content-Range",
                format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len()),
            )
            .body(&bytes[start..]),
        Some(_) => Reply::new(416),
        None => Reply::new(200).body(bytes),
    }
}

fn upload(shelf: &mut Shelf, asked: &Asked, repository: &str, id: &str) -> Reply {
    let location = |id: &str| format!("/v2/{repository}/blobs/uploads/{id}");
    if id.is_empty() {
        if let (Some(digest), Some(from)) = (asked.field("mount"), asked.field("from"))
            && let Some(bytes) = shelf.blobs.get(&(from, digest.clone())).cloned()
        {
            shelf.blobs.insert((repository.to_owned(), digest), bytes);
            return Reply::new(201);
        }
        let id = format!("u{}", shelf.asked.len());
        shelf.uploads.insert(id.clone(), Vec::new());
        return Reply::new(202).with("Location", location(&id));
    }
    let Some(bytes) = shelf.uploads.get_mut(id) else {
        return Reply::new(404);
    };
    match asked.method.as_str() {
        "PATCH" => bytes.extend_from_slice(&asked.body),
        "GET" => {
            let last = bytes.len().saturating_sub(1);
            return Reply::new(204)
                .with("Range", format!("0-{last}"))
                .with("Location", location(id));
        }
        "DELETE" => {
            shelf.uploads.remove(id);
            return Reply::new(204);
        }
        _ => {
            bytes.extend_from_slice(&asked.body);
            let bytes = std::mem::take(bytes);
            shelf.uploads.remove(id);
            let digest = Digest::of(Algorithm::Sha256, &bytes).to_string();
            if asked.field("digest").as_deref() != Some(&digest) {
                return Reply::new(400);
            }
            shelf
                .blobs
                .insert((repository.to_owned(), digest.clone()), bytes);
            return Reply::new(201).with("Docker-Content-Digest", digest);
        }
    }
    Reply::new(202).with("Location", location(id))
}

impl Shelf {
    /// Puts a blob into a repository.
    pub(crate) fn put_blob(&mut self, repository: &str, bytes: &[u8]) {
        let digest = Digest::of(Algorithm::Sha256, bytes).to_string();
        self.blobs
            .insert((repository.to_owned(), digest), bytes.to_vec());
    }

    /// Puts a manifest into a repository, under its digest and a tag.
    pub(crate) fn put_manifest(
        &mut self,
        repository: &str,
        tag: Option<&str>,
        media_type: &str,
        bytes: &[u8],
    ) {
        let digest = Digest::of(Algorithm::Sha256, bytes).to_string();
        for reference in [Some(digest.as_str()), tag].into_iter().flatten() {
            let key = (repository.to_owned(), reference.to_owned());
            self.manifests
                .insert(key, (media_type.to_owned(), bytes.to_vec()));
        }
    }

    /// The manifest under a tag or digest.
    pub(crate) fn manifest(&self, repository: &str, reference: &str) -> Option<&[u8]> {
        let key = (repository.to_owned(), reference.to_owned());
        self.manifests.get(&key).map(|(_, bytes)| &bytes[..])
    }

    /// Whether a repository has these bytes.
    pub(crate) fn has(&self, repository: &str, bytes: &[u8]) -> bool {
        let digest = Digest::of(Algorithm::Sha256, bytes).to_string();
        let found = self.blobs.get(&(repository.to_owned(), digest));
        found.is_some_and(|found| found == bytes)
    }
}
