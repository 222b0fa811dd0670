//! What is asked for: tags and digests of many images, by Zipf's law.

use std::net::SocketAddr;

use rand::{RngExt, SeedableRng, rngs::SmallRng};

use crate::{
    images::{Image, MANIFEST},
    zipf::Zipf,
};

/// Where the images' common blobs come from: the same for every run, so that
/// what was prepared once can be asked for often.
pub(super) const SEED: u64 = 17;

/// The images of one repository that are asked for.
#[derive(Debug, Clone)]
pub struct Plan {
    repository: String,
    images: usize,
}

/// One of the requests that may come up.
#[derive(Debug)]
pub struct Request {
    /// Its bytes.
    pub(super) text: Vec<u8>,
    /// The digest of the answer; none for the tag that moves, and where there
    /// is none.
    pub(super) digest: Option<String>,
}

impl Request {
    /// A `GET` of a path, for whoever the header says.
    pub fn get(host: SocketAddr, path: &str, authorization: Option<&str>) -> Self {
        let authorization = authorization
            .map(|value| format!("Authorization: {value}\r\n"))
            .unwrap_or_default();
        let text = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\n{authorization}Accept: {MANIFEST}\r\n\r\n"
        );
        Self {
            text: text.into_bytes(),
            digest: None,
        }
    }

    /// The digest that the answer must have.
    #[must_use]
    pub fn with_digest(self, digest: String) -> Self {
        Self {
            digest: Some(digest),
            ..self
        }
    }
}

impl Plan {
    /// So many images in that repository.
    pub fn new(repository: &str, images: usize) -> Self {
        Self {
            repository: repository.to_owned(),
            images,
        }
    }

    /// The repository's name.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// How many images there are, and so many tags, and so many digests.
    pub fn images(&self) -> usize {
        self.images
    }

    /// The tag of an image. The first is asked for most, and is the one that
    /// moves.
    pub fn tag(&self, index: usize) -> String {
        format!("tag-{index:04}")
    }

    /// All requests: the tags, then the digests.
    pub(super) fn requests(&self, host: SocketAddr, first_moves: bool) -> Vec<Request> {
        let image = Image::new(SEED);
        let get = |reference: &str| {
            let path = format!("/v2/{}/manifests/{reference}", self.repository);
            Request::get(host, &path, None)
        };
        let digests: Vec<String> = (0..self.images)
            .map(|index| image.manifest(&self.tag(index)).digest)
            .collect();
        let tags = digests.iter().enumerate().map(|(index, digest)| Request {
            digest: (index > 0 || !first_moves).then(|| digest.clone()),
            ..get(&self.tag(index))
        });
        let by_digest = digests
            .iter()
            .map(|digest| get(digest).with_digest(digest.clone()));
        tags.chain(by_digest).collect()
    }

    /// An endless order of the requests, by index, the same in every run: the
    /// rank by Zipf's law, by tag or by digest with equal chance.
    pub(super) fn order(&self) -> impl Iterator<Item = usize> + use<> {
        let mut random = SmallRng::seed_from_u64(23);
        let zipf = Zipf::new(self.images);
        let images = self.images;
        // Drawn before the load begins, so that it costs nothing then.
        let drawn: Vec<usize> = (0..1 << 16)
            .map(|_| {
                let rank = zipf.sample(&mut random);
                if random.random() { rank } else { images + rank }
            })
            .collect();
        (0..drawn.len()).cycle().map(move |at| drawn[at])
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn tags_and_digests_are_asked_for_equally_often() {
        let plan = Plan::new("a/b", 100);
        let requests = plan.requests("127.0.0.1:1".parse().unwrap(), true);
        assert_eq!(requests.len(), 200);
        let moving = requests.iter().filter(|request| request.digest.is_none());
        assert_eq!(moving.count(), 1, "only the first tag moves");
        let tags = plan.order().take(10_000).filter(|index| *index < 100);
        assert!((4500..5500).contains(&tags.count()));
    }
}
