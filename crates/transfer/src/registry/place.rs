//! A repository of a registry, as a place that images come from and go to.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use landfall_oci::{Descriptor, Digest, Manifest, MediaType};
use reqwest::{
    Method, Response, StatusCode,
    header::{self, HeaderMap, HeaderValue},
};
use tokio::sync::OnceCell;

use super::{
    Registry, answer,
    client::{Ask, Scope},
    download, list,
    upload::Upload,
};
use crate::{
    Destination, Document, Error, Opener, Repository, Source, Stored, Wanted,
    content::{ByteStream, Origin},
};

/// The tag that is meant when none is given.
const LATEST: &str = "latest";

/// One repository.
pub(crate) struct RegistryRepository {
    registry: Arc<Registry>,
    repository: Repository,
    /// Whether the registry lists referrers itself. Asked for once.
    lists_referrers: OnceCell<bool>,
}

impl RegistryRepository {
    pub(crate) fn new(registry: Arc<Registry>, repository: Repository) -> Self {
        Self {
            registry,
            repository,
            lists_referrers: OnceCell::new(),
        }
    }

    fn path(&self, kind: &str, name: &str) -> String {
        format!("v2/{}/{kind}/{name}", self.repository)
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        scope: &Scope,
        what: &str,
    ) -> Result<Response, Error> {
        let mut headers = HeaderMap::new();
        for media_type in MediaType::MANIFESTS {
            if let Ok(value) = HeaderValue::from_str(media_type.as_str()) {
                headers.append(header::ACCEPT, value);
            }
        }
        let ask = Ask {
            method,
            url: self.registry.url(path)?,
            headers,
            body: Bytes::new(),
            scope,
            what,
        };
        let response = self.registry.send(&ask).await?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(self.registry.refusal(&ask, response).await)
        }
    }

    /// The manifest under a tag or a digest.
    async fn fetch(&self, reference: &str, digest: Option<&Digest>) -> Result<Document, Error> {
        let what = self.called(reference, digest.is_some());
        let path = self.path("manifests", reference);
        let scope = Scope::pull(&self.repository);
        let response = self.request(Method::GET, &path, &scope, &what).await?;
        let media_type = answer::text(&response, "content-type").map(str::to_owned);
        let told = answer::text(&response, "docker-content-digest");
        let told = told.and_then(|text| text.parse::<Digest>().ok());
        let most = self.registry.limits.manifest;
        let bytes = answer::body(&self.registry.name, &what, response, most).await?;
        let place = Source::place(self);
        Document::read(
            &place,
            bytes,
            media_type.as_deref(),
            digest.or(told.as_ref()),
        )
    }

    fn called(&self, reference: &str, is_digest: bool) -> String {
        let separator = if is_digest { '@' } else { ':' };
        format!("`{}{separator}{reference}`", self.repository)
    }

    async fn put(&self, document: &Document, reference: &str) -> Result<(), Error> {
        let what = self.called(reference, reference.contains(':'));
        let scope = Scope::push(&self.repository);
        let media_type = HeaderValue::from_str(document.manifest.media_type.as_str());
        let mut headers = HeaderMap::new();
        if let Ok(media_type) = media_type {
            headers.insert(header::CONTENT_TYPE, media_type);
        }
        let ask = Ask {
            method: Method::PUT,
            url: self.registry.url(&self.path("manifests", reference))?,
            headers,
            body: document.bytes.clone(),
            scope: &scope,
            what: &what,
        };
        let response = self.registry.send(&ask).await?;
        if !response.status().is_success() {
            return Err(self.registry.refusal(&ask, response).await);
        }
        let told = answer::text(&response, "docker-content-digest");
        match told.and_then(|text| text.parse::<Digest>().ok()) {
            Some(told)
                if told != document.digest && told.algorithm() == document.digest.algorithm() =>
            {
                Err(Error::Damaged(format!(
                    "registry `{}` stored the manifest `{}` as `{told}`",
                    self.registry.name, document.digest
                )))
            }
            _ => Ok(()),
        }
    }

    /// Whether something is there, by its headers, and what they say.
    async fn head(&self, path: &str, what: &str) -> Result<Option<Response>, Error> {
        let scope = Scope::push(&self.repository);
        match self.request(Method::HEAD, path, &scope, what).await {
            Ok(response) => Ok(Some(response)),
            Err(Error::Missing(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The registry's own list of referrers; nothing if it keeps none.
    async fn listed_referrers(
        &self,
        subject: &Digest,
        scope: &Scope,
    ) -> Result<Option<Vec<Descriptor>>, Error> {
        let what = format!("the referrers of `{subject}`");
        let refused = |why: &str| {
            Error::Refused(format!(
                "registry `{}` lists {what} {why}",
                self.registry.name
            ))
        };
        let mut url = self
            .registry
            .url(&self.path("referrers", &subject.to_string()))?;
        let mut all: Vec<Descriptor> = Vec::new();
        loop {
            let ask = Ask {
                method: Method::GET,
                url: url.clone(),
                headers: HeaderMap::new(),
                body: Bytes::new(),
                scope,
                what: &what,
            };
            let response = self.registry.send(&ask).await?;
            match response.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND
                | StatusCode::BAD_REQUEST
                | StatusCode::METHOD_NOT_ALLOWED
                | StatusCode::NOT_IMPLEMENTED => return Ok(None),
                _ => return Err(self.registry.refusal(&ask, response).await),
            }
            let next = answer::next_page(&response, &url);
            let limits = &self.registry.limits;
            let body = answer::body(&self.registry.name, &what, response, limits.index).await?;
            let index = Manifest::parse(&body, None)
                .ok()
                .filter(|index| index.media_type.is_index())
                .ok_or_else(|| refused("as something that is no index"))?;
            let more = index.manifests.len();
            all.extend(index.manifests);
            if all.len() > limits.manifests {
                return Err(refused("without an end"));
            }
            url = match next {
                None => return Ok(Some(all)),
                Some(Err(())) => return Err(refused("with a next page on another host")),
                Some(Ok(_)) if more == 0 => return Err(refused("in a circle")),
                Some(Ok(next)) => next,
            };
        }
    }

    /// The list of referrers that clients keep under a tag.
    async fn tagged_referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        match self.fetch(&fallback_tag(subject), None).await {
            Ok(document) => Ok(document.manifest.manifests),
            Err(Error::Missing(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// The tag under which clients list the referrers of a manifest in a registry
/// that doesn't (distribution specification 1.1, "Referrers Tag Schema").
pub(crate) fn fallback_tag(subject: &Digest) -> String {
    let hex = subject.hex();
    format!("{}-{}", subject.algorithm(), &hex[..hex.len().min(64)])
}

#[async_trait]
impl Source for RegistryRepository {
    fn place(&self) -> String {
        format!("registry `{}`", self.registry.name)
    }

    fn origin(&self) -> Option<Origin> {
        Some(Origin {
            registry: self.registry.base.to_string(),
            repository: self.repository.clone(),
        })
    }

    async fn find(&self, wanted: &Wanted) -> Result<Document, Error> {
        match wanted {
            Wanted::Only => self.fetch(LATEST, None).await,
            Wanted::Name(tag) => self.fetch(tag, None).await,
            Wanted::Digest(digest) => self.fetch(&digest.to_string(), Some(digest)).await,
        }
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Document, Error> {
        let digest = descriptor.digest;
        let document = self.fetch(&digest.to_string(), Some(&digest)).await?;
        document.described(&Source::place(self), descriptor)
    }

    async fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<ByteStream, Error> {
        let (registry, repository) = (Arc::clone(&self.registry), self.repository.clone());
        download::blob(registry, repository, descriptor.clone(), from).await
    }

    async fn names(&self) -> Result<Vec<String>, Error> {
        let tags = list::tags(&self.registry, &self.repository).await?;
        Ok(tags.iter().map(ToString::to_string).collect())
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        let scope = Scope::pull(&self.repository);
        match self.listed_referrers(subject, &scope).await? {
            Some(listed) => Ok(listed),
            None => self.tagged_referrers(subject).await,
        }
    }
}

#[async_trait]
impl Destination for RegistryRepository {
    fn place(&self) -> String {
        Source::place(self)
    }

    fn origin(&self) -> Option<Origin> {
        Source::origin(self)
    }

    async fn holds_image(&self, document: &Document) -> Result<bool, Error> {
        let digest = document.digest.to_string();
        let what = self.called(&digest, true);
        let found = self.head(&self.path("manifests", &digest), &what).await?;
        Ok(found.is_some())
    }

    async fn holds_blob(&self, descriptor: &Descriptor) -> Result<bool, Error> {
        let digest = descriptor.digest.to_string();
        let what = format!("the blob `{digest}` of `{}`", self.repository);
        let found = self.head(&self.path("blobs", &digest), &what).await?;
        let size = found.as_ref().map(|response| {
            answer::text(response, "content-length").and_then(|length| length.parse::<u64>().ok())
        });
        Ok(match size {
            None => false,
            Some(size) => size.is_none_or(|size| size == descriptor.size),
        })
    }

    async fn store_blob(
        &self,
        blob: &dyn Opener,
        mount: Option<&Repository>,
    ) -> Result<Stored, Error> {
        Upload::new(&self.registry, &self.repository, blob)
            .run(mount)
            .await
    }

    async fn store_manifest(&self, document: &Document) -> Result<bool, Error> {
        self.put(document, &document.digest.to_string()).await?;
        Ok(true)
    }

    async fn name(&self, document: &Document, name: Option<&str>) -> Result<bool, Error> {
        let Some(tag) = name else {
            if self.holds_image(document).await? {
                return Ok(false);
            }
            return self.store_manifest(document).await;
        };
        let what = self.called(tag, false);
        let found = self.head(&self.path("manifests", tag), &what).await?;
        let digest = document.digest.to_string();
        let is_same = found.as_ref().is_some_and(|response| {
            answer::text(response, "docker-content-digest") == Some(digest.as_str())
        });
        if is_same {
            return Ok(false);
        }
        self.put(document, tag).await?;
        Ok(true)
    }

    async fn refer(&self, subject: &Digest, referrers: &[Descriptor]) -> Result<(), Error> {
        let lists = self.lists_referrers.get_or_try_init(|| async {
            let scope = Scope::push(&self.repository);
            let listed = self.listed_referrers(subject, &scope).await?;
            Ok::<_, Error>(listed.is_some())
        });
        if *lists.await? {
            return Ok(());
        }
        let mut all = self.tagged_referrers(subject).await?;
        let known = all.len();
        for referrer in referrers {
            if all.iter().all(|each| each.digest != referrer.digest) {
                all.push(referrer.clone());
            }
        }
        if all.len() == known {
            return Ok(());
        }
        let index = Document::made(Manifest::index(all))?;
        self.put(&index, &fallback_tag(subject)).await
    }
}
