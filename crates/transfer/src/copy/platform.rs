//! The image of one platform, out of an index.

use std::{fmt, str::FromStr, sync::Arc};

use futures_util::{TryStreamExt, future::BoxFuture};
use landfall_oci::{Descriptor, Platform};
use serde::Deserialize;

use crate::{Document, Error, Limits, Source, content::Verifier};

/// `os/architecture`, perhaps with a variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedPlatform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

/// A text that names no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is no platform: `OS/ARCHITECTURE[/VARIANT]` is expected, as in `linux/arm64`")]
pub struct UnknownPlatform {
    /// What was given, shortened.
    pub given: String,
}

impl FromStr for WantedPlatform {
    type Err = UnknownPlatform;

    fn from_str(text: &str) -> Result<Self, UnknownPlatform> {
        let parts: Vec<&str> = text.split('/').collect();
        let is_word = |part: &&str| {
            let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            !part.is_empty() && part.len() <= 64 && part.bytes().all(is_letter)
        };
        match parts[..] {
            [os, architecture] | [os, architecture, _] if parts.iter().all(is_word) => Ok(Self {
                os: os.to_owned(),
                architecture: architecture.to_owned(),
                variant: parts.get(2).map(|variant| (*variant).to_owned()),
            }),
            _ => Err(UnknownPlatform {
                given: crate::error::shorten(text),
            }),
        }
    }
}

impl fmt::Display for WantedPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

/// What a configuration says of its platform.
#[derive(Deserialize)]
struct Configured {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
}

impl WantedPlatform {
    fn fits(&self, os: &str, architecture: &str, variant: Option<&str>) -> bool {
        // There is one 64-bit ARM that needs no name.
        let named = |variant: Option<&str>| match variant {
            None | Some("") if architecture == "arm64" => Some("v8".to_owned()),
            other => other.map(str::to_owned),
        };
        os == self.os
            && architecture == self.architecture
            && (self.variant.is_none() || named(self.variant.as_deref()) == named(variant))
    }

    fn is(&self, platform: &Platform) -> bool {
        self.fits(
            &platform.os,
            &platform.architecture,
            platform.variant.as_deref(),
        )
    }

    /// The image of this platform that `document` is or leads to.
    pub(super) async fn choose(
        &self,
        source: &Arc<dyn Source>,
        document: Document,
        limits: &Limits,
    ) -> Result<Document, Error> {
        if !document.manifest.media_type.is_index() {
            self.check(source, &document, limits).await?;
            return Ok(document);
        }
        let mut seen = Vec::new();
        let chosen = self
            .search(source, &document, limits.depth, &mut seen)
            .await?;
        let Some(chosen) = chosen else {
            seen.sort();
            seen.dedup();
            let seen: Vec<String> = seen.iter().take(20).map(|one| format!("`{one}`")).collect();
            return Err(Error::Missing(format!(
                "{} has no image for `{self}` in `{}`: it has {}",
                source.place(),
                document.digest,
                seen.join(", ")
            )));
        };
        source.manifest(&chosen).await
    }

    fn search<'a>(
        &'a self,
        source: &'a Arc<dyn Source>,
        index: &'a Document,
        depth: usize,
        seen: &'a mut Vec<String>,
    ) -> BoxFuture<'a, Result<Option<Descriptor>, Error>> {
        Box::pin(async move {
            let entries = &index.manifest.manifests;
            for entry in entries {
                let Some(platform) = &entry.platform else {
                    continue;
                };
                if entry.media_type.is_image() && self.is(platform) {
                    return Ok(Some(entry.clone()));
                }
                seen.push(crate::error::shorten(&platform.to_string()));
            }
            for entry in entries.iter().filter(|entry| entry.media_type.is_index()) {
                if depth == 0 {
                    break;
                }
                let nested = source.manifest(entry).await?;
                if let Some(found) = self.search(source, &nested, depth - 1, seen).await? {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        })
    }

    /// Refuses an image that says that it is for another platform.
    async fn check(
        &self,
        source: &Arc<dyn Source>,
        document: &Document,
        limits: &Limits,
    ) -> Result<(), Error> {
        let Some(config) = &document.manifest.config else {
            return Ok(());
        };
        if config.size > limits.config {
            return Err(Error::Refused(format!(
                "the configuration `{}` has {} bytes, more than are taken",
                config.digest, config.size
            )));
        }
        let mut verifier = Verifier::new(source.place(), config);
        let mut bytes = Vec::new();
        let mut stream = source.blob(config, 0).await?;
        while let Some(chunk) = stream.try_next().await? {
            verifier.take(bytes.len() as u64, &chunk)?;
            bytes.extend_from_slice(&chunk);
        }
        verifier.finish()?;
        let Ok(told) = serde_json::from_slice::<Configured>(&bytes) else {
            return Ok(());
        };
        if told.architecture.is_empty()
            || self.fits(&told.os, &told.architecture, told.variant.as_deref())
        {
            return Ok(());
        }
        Err(Error::Missing(format!(
            "{} has no image for `{self}` in `{}`: it is one for `{}/{}`",
            source.place(),
            document.digest,
            crate::error::shorten(&told.os),
            crate::error::shorten(&told.architecture)
        )))
    }
}
