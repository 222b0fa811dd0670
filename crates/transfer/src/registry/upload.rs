//! Blobs into a registry: hashed while they are sent, and committed only when
//! they are what they should be. An upload that breaks off goes on at the
//! offset that the registry has.

use std::{
    io,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};
use landfall_oci::Descriptor;
use reqwest::{
    Body, Method, Response, StatusCode,
    header::{self, HeaderMap, HeaderValue},
};
use url::Url;

use super::{
    Registry, answer,
    client::{Ask, Scope},
};
use crate::{
    Error, Opener, Repository, Stored,
    content::{ByteStream, Verifier},
};

/// Blobs up to this size are read whole, verified, and sent in one request.
const SMALL: u64 = 256 << 10;

/// How much is sent in one request to a registry that refused the whole.
const PIECE: u64 = 16 << 20;

/// How often the progress of an upload is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// How long an aborted upload may take to be given up properly.
const FAREWELL: Duration = Duration::from_secs(5);

/// An upload of one blob.
pub(super) struct Upload<'a> {
    registry: &'a Registry,
    repository: &'a Repository,
    blob: &'a dyn Opener,
    scope: Scope,
    what: String,
}

/// What the body of a request has passed on. The body and the one who waits
/// for the answer both look at it, shortly.
struct Feed {
    verifier: Verifier,
    at: u64,
    failure: Option<Error>,
    moved: Instant,
}

/// What a registry said to a part of an upload.
enum Sent {
    All,
    TooMuch,
}

impl<'a> Upload<'a> {
    pub(super) fn new(
        registry: &'a Registry,
        repository: &'a Repository,
        blob: &'a dyn Opener,
    ) -> Self {
        let what = format!(
            "the upload of `{}` to `{repository}`",
            blob.descriptor().digest
        );
        Self {
            scope: Scope::push(repository),
            registry,
            repository,
            blob,
            what,
        }
    }

    /// Sends the blob, unless the registry takes it over from `mount`.
    pub(super) async fn run(mut self, mount: Option<&Repository>) -> Result<Stored, Error> {
        let Some(location) = self.start(mount).await? else {
            return Ok(Stored::Mounted);
        };
        let sent = if self.descriptor().size <= SMALL {
            self.send_whole(&location).await
        } else {
            self.send_stream(location.clone()).await
        };
        if sent.is_err() {
            self.give_up(location).await;
        }
        sent.map(|()| Stored::Copied)
    }

    fn descriptor(&self) -> &Descriptor {
        self.blob.descriptor()
    }

    fn ask(&self, method: Method, url: Url) -> Ask<'_> {
        Ask {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            scope: &self.scope,
            what: &self.what,
        }
    }

    /// Begins an upload, and gives its address; nothing if the blob is there.
    async fn start(&mut self, mount: Option<&Repository>) -> Result<Option<Url>, Error> {
        let path = format!("v2/{}/blobs/uploads/", self.repository);
        let mut url = self.registry.url(&path)?;
        if let Some(from) = mount {
            self.scope = Scope::mount(self.repository, from);
            let digest = self.descriptor().digest.to_string();
            url.query_pairs_mut()
                .append_pair("mount", &digest)
                .append_pair("from", from.as_str());
        }
        let ask = self.ask(Method::POST, url.clone());
        let mut response = self.registry.send(&ask).await?;
        let may_not_read = matches!(
            response.status(),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND
        );
        if mount.is_some() && may_not_read {
            self.scope = Scope::push(self.repository);
            url.set_query(None);
            let ask = self.ask(Method::POST, url.clone());
            response = self.registry.send(&ask).await?;
        }
        match response.status() {
            StatusCode::CREATED if mount.is_some() => Ok(None),
            StatusCode::ACCEPTED => self.location(&response, &url).map(Some),
            _ => {
                let ask = self.ask(Method::POST, url);
                Err(self.registry.refusal(&ask, response).await)
            }
        }
    }

    /// Where the upload goes on.
    fn location(&self, response: &Response, current: &Url) -> Result<Url, Error> {
        let location = answer::text(response, "location");
        let target = location.and_then(|location| current.join(location).ok());
        let target = target.ok_or_else(|| {
            Error::Refused(format!(
                "registry `{}` gives no address for {}",
                self.registry.name, self.what
            ))
        })?;
        self.registry.check_target(&target, &self.what)?;
        Ok(target)
    }

    async fn send_whole(&self, location: &Url) -> Result<(), Error> {
        let mut verifier = Verifier::new(self.blob.place(), self.descriptor());
        let mut stream = self.blob.open(0).await?;
        let mut all = BytesMut::new();
        while let Some(chunk) = stream.try_next().await? {
            verifier.take(all.len() as u64, &chunk)?;
            all.extend_from_slice(&chunk);
        }
        verifier.finish()?;
        self.commit(location, all.freeze()).await
    }

    async fn send_stream(&mut self, mut location: Url) -> Result<(), Error> {
        let verifier = Verifier::new(self.blob.place(), self.descriptor());
        let feed = Arc::new(Mutex::new(Feed {
            verifier,
            at: 0,
            failure: None,
            moved: Instant::now(),
        }));
        let (size, mut piece) = (self.descriptor().size, u64::MAX);
        let (mut at, mut failed, mut breaks) = (0, 0, 0);
        while at < size {
            let before = at;
            let end = size.min(at.saturating_add(piece));
            let error = match self.patch(&mut location, at..end, &feed).await {
                Ok(Sent::All) => {
                    at = end;
                    continue;
                }
                Ok(Sent::TooMuch) if piece > PIECE => {
                    piece = PIECE;
                    Error::unavailable(format!("{} has to go in pieces", self.what))
                }
                Ok(Sent::TooMuch) => return Err(self.too_much()),
                Err(error) => error,
            };
            if let Some(failure) = lock(&feed).failure.take() {
                return Err(failure);
            }
            breaks += 1;
            failed += 1;
            if breaks > self.registry.limits.breaks {
                return Err(error);
            }
            self.registry.pause(error, failed).await?;
            at = match self.offset(&mut location).await? {
                Some(offset) if offset <= lock(&feed).verifier.taken() => offset,
                _ => {
                    let begun = self.start(None).await?;
                    location = begun.ok_or_else(|| {
                        Error::Refused(format!("{} can't be started again", self.what))
                    })?;
                    0
                }
            };
            self.blob.resumed(at);
            if at > before {
                failed = 0;
            }
        }
        let verifier = lock(&feed).verifier.clone();
        verifier.finish()?;
        self.commit(&location, Bytes::new()).await
    }

    fn too_much(&self) -> Error {
        Error::Refused(format!(
            "registry `{}` takes no {} MiB in one request for {}; a proxy in front of it may have \
             a limit",
            self.registry.name,
            PIECE >> 20,
            self.what
        ))
    }

    /// Sends a part of the bytes in one request.
    async fn patch(
        &self,
        location: &mut Url,
        part: Range<u64>,
        feed: &Arc<Mutex<Feed>>,
    ) -> Result<Sent, Error> {
        let at = part.start;
        let stream = match self.blob.open(at).await {
            Ok(stream) => stream,
            Err(error) => {
                let message = error.to_string();
                lock(feed).failure = Some(error);
                return Err(Error::Refused(message));
            }
        };
        {
            let mut feed = lock(feed);
            feed.at = at;
            feed.moved = Instant::now();
        }
        let request = self
            .registry
            .streaming(Method::PATCH, location.clone(), &self.scope)
            .await?
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_LENGTH, part.end - at)
            .body(Body::wrap_stream(fed(
                first(stream, part.end - at),
                Arc::clone(feed),
            )));
        let is_whole = at == 0 && part.end == self.descriptor().size;
        let request = if is_whole {
            request
        } else {
            request.header(header::CONTENT_RANGE, format!("{at}-{}", part.end - 1))
        };
        let response = tokio::select! {
            sent = request.send() => {
                sent.map_err(|error| answer::unreached(&self.registry.name, &error))?
            }
            () = self.stalled(feed) => return Err(Error::unavailable(format!(
                "registry `{}` takes nothing more of {}",
                self.registry.name, self.what
            ))),
        };
        match response.status() {
            status if status.is_success() => {
                *location = self.location(&response, location)?;
                Ok(Sent::All)
            }
            StatusCode::PAYLOAD_TOO_LARGE => Ok(Sent::TooMuch),
            // The token may have run out, or the offset be another one: it is
            // asked for again.
            StatusCode::UNAUTHORIZED | StatusCode::RANGE_NOT_SATISFIABLE => {
                let message = format!(
                    "registry `{}` refuses {}: status {}",
                    self.registry.name,
                    self.what,
                    response.status()
                );
                Err(Error::unavailable(message))
            }
            _ => {
                let ask = self.ask(Method::PATCH, location.clone());
                Err(self.registry.refusal(&ask, response).await)
            }
        }
    }

    /// Ends when nothing has moved for too long.
    async fn stalled(&self, feed: &Mutex<Feed>) {
        let longest = self.registry.patience.silence * 5;
        loop {
            tokio::time::sleep(LOOK.min(longest)).await;
            if lock(feed).moved.elapsed() > longest {
                return;
            }
        }
    }

    /// How many bytes of the upload the registry has; nothing if it doesn't
    /// know the upload any more.
    async fn offset(&self, location: &mut Url) -> Result<Option<u64>, Error> {
        let ask = self.ask(Method::GET, location.clone());
        let response = self.registry.send(&ask).await?;
        if !response.status().is_success() {
            return Ok(None);
        }
        let last = answer::text(&response, "range")
            .and_then(|range| range.rsplit('-').next()?.trim().parse::<u64>().ok());
        if response.headers().contains_key(header::LOCATION) {
            *location = self.location(&response, location)?;
        }
        // `0-0` is what registries say of an upload without bytes.
        Ok(Some(
            last.filter(|last| *last > 0).map_or(0, |last| last + 1),
        ))
    }

    async fn commit(&self, location: &Url, body: Bytes) -> Result<(), Error> {
        let digest = self.descriptor().digest;
        let mut url = location.clone();
        url.query_pairs_mut()
            .append_pair("digest", &digest.to_string());
        let mut ask = self.ask(Method::PUT, url);
        ask.headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        ask.body = body;
        let response = self.registry.send(&ask).await?;
        if response.status() == StatusCode::NOT_FOUND && self.is_there().await? {
            // An earlier attempt got through, and only its answer was lost.
            return Ok(());
        }
        if !response.status().is_success() {
            return Err(self.registry.refusal(&ask, response).await);
        }
        match answer::text(&response, "docker-content-digest") {
            Some(told) if told != digest.to_string() => Err(Error::Damaged(format!(
                "registry `{}` stored the blob `{digest}` under another digest",
                self.registry.name
            ))),
            _ => Ok(()),
        }
    }

    async fn is_there(&self) -> Result<bool, Error> {
        let digest = self.descriptor().digest;
        let path = format!("v2/{}/blobs/{digest}", self.repository);
        let ask = self.ask(Method::HEAD, self.registry.url(&path)?);
        Ok(self.registry.send(&ask).await?.status().is_success())
    }

    /// Tells the registry that nothing more comes. It finds out by itself
    /// otherwise.
    async fn give_up(&self, location: Url) {
        let farewell = async {
            let request = self
                .registry
                .streaming(Method::DELETE, location, &self.scope)
                .await?;
            let sent = request.send().await;
            sent.map_err(|error| answer::unreached(&self.registry.name, &error))
        };
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }
}

fn lock(feed: &Mutex<Feed>) -> MutexGuard<'_, Feed> {
    feed.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first bytes of a stream.
fn first(stream: ByteStream, most: u64) -> ByteStream {
    stream::try_unfold((stream, most), |(mut stream, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let chunk = stream.try_next().await?;
        Ok(chunk.map(|mut chunk| {
            chunk.truncate(left.min(chunk.len() as u64) as usize);
            let left = left - chunk.len() as u64;
            (chunk, (stream, left))
        }))
    })
    .boxed()
}

/// The stream, hashed as it is taken.
fn fed(
    stream: ByteStream,
    feed: Arc<Mutex<Feed>>,
) -> impl futures_util::Stream<Item = io::Result<Bytes>> {
    stream.map(move |chunk| {
        let mut feed = lock(&feed);
        let at = feed.at;
        let taken = chunk.and_then(|chunk| feed.verifier.take(at, &chunk).map(|()| chunk));
        feed.moved = Instant::now();
        match taken {
            Ok(chunk) => {
                feed.at += chunk.len() as u64;
                Ok(chunk)
            }
            Err(error) => {
                feed.failure = Some(error);
                Err(io::Error::other("the source has failed"))
            }
        }
    })
}
