//! The administrator's HTTP session with a server, and images pushed over it.

use landfall_oci::{Algorithm, Digest};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::server::{PASSWORD, Server};

/// The media types of the images that are made here.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// The digest of bytes, by SHA-256.
pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, bytes)
}

/// A repository name as one segment of a path of `/api/v1`.
pub(crate) fn segment(name: &str) -> String {
    name.replace('/', "%2F")
}

/// Bytes that differ for each seed and don't repeat themselves.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| next()).collect();
    bytes.truncate(length);
    bytes
}

/// An image that is made up: a configuration and two layers.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) config: Vec<u8>,
    pub(crate) layers: [Vec<u8>; 2],
    pub(crate) manifest: Vec<u8>,
}

impl Image {
    /// An image for `linux/amd64`. Those of one base share their first layer.
    pub(crate) fn new(base: u64, seed: u64) -> Self {
        Self::for_platform(base, seed, "amd64")
    }

    /// An image for another architecture.
    pub(crate) fn for_platform(base: u64, seed: u64, architecture: &str) -> Self {
        let layers = [noise(base, 3000), noise(seed, 500)];
        let config = json!({
            "architecture": architecture,
            "os": "linux",
            "config": { "Labels": { "seed": seed.to_string() } },
            "rootfs": { "type": "layers", "diff_ids": layers.each_ref().map(|each| digest(each)) },
            "history": [
                { "created": "2026-01-02T03:04:05Z", "created_by": "unpack the base" },
                { "created_by": "ENV A=1", "empty_layer": true },
                { "created": "2026-01-02T03:04:06Z", "created_by": "copy the program" },
            ],
        });
        let config = config.to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, &config),
            "layers": layers.each_ref().map(|each| descriptor(LAYER, each)),
        });
        Self {
            config,
            layers,
            manifest: manifest.to_string().into_bytes(),
        }
    }

    /// The digest of the manifest.
    pub(crate) fn digest(&self) -> Digest {
        digest(&self.manifest)
    }
}

/// An index of images with their architectures.
pub(crate) fn index(images: &[(&Image, &str)]) -> Vec<u8> {
    let manifests = images.iter().map(|(image, architecture)| {
        let mut entry = descriptor(MANIFEST, &image.manifest);
        entry["platform"] = json!({ "os": "linux", "architecture": architecture });
        entry
    });
    let manifests: Vec<Value> = manifests.collect();
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
    index.to_string().into_bytes()
}

/// An artifact that refers to a manifest.
pub(crate) fn referrer(subject: &[u8], kind: &str) -> Vec<u8> {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": kind,
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [descriptor("application/vnd.oci.empty.v1+json", b"{}")],
        "subject": descriptor(MANIFEST, subject),
    });
    manifest.to_string().into_bytes()
}

/// The descriptor of bytes.
pub(crate) fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(bytes), "size": bytes.len() })
}

/// Requests to one server over one pool of connections.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    http: Client,
    url: String,
}

impl Session {
    pub(crate) fn of(server: &Server) -> Self {
        let http = Client::builder().no_proxy().build().expect("HTTP client");
        Self {
            http,
            url: server.url.clone(),
        }
    }

    /// A request by nobody.
    pub(crate) fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// A request by the administrator.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path)
            .basic_auth("admin", Some(PASSWORD))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path)
            .send()
            .await
            .expect("answer")
    }

    /// The JSON that a GET answers with 200.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.expect("JSON")
    }

    /// A bearer token for these scopes.
    pub(crate) async fn token(&self, scopes: &[&str]) -> String {
        let scopes: Vec<String> = scopes
            .iter()
            .map(|scope| format!("scope={scope}"))
            .collect();
        let answer = self.json(&format!("/token?{}", scopes.join("&"))).await;
        answer["token"].as_str().expect("a token").to_owned()
    }

    /// Pushes a blob in one request.
    pub(crate) async fn push_blob(&self, repository: &str, bytes: &[u8]) -> Digest {
        let digest = digest(bytes);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        let pushed = self
            .request(Method::POST, &path)
            .body(bytes.to_vec())
            .send()
            .await;
        assert_eq!(pushed.expect("answer").status(), StatusCode::CREATED);
        digest
    }

    /// Pushes a manifest whose blobs are there.
    pub(crate) async fn push_manifest(
        &self,
        repository: &str,
        reference: &str,
        media_type: &str,
        manifest: &[u8],
    ) {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let request = self
            .request(Method::PUT, &path)
            .header("content-type", media_type);
        let pushed = request
            .body(manifest.to_vec())
            .send()
            .await
            .expect("answer");
        assert_eq!(pushed.status(), StatusCode::CREATED, "{reference}");
    }

    /// Pushes an image whole.
    pub(crate) async fn push(&self, repository: &str, reference: &str, image: &Image) {
        self.push_blob(repository, &image.config).await;
        for layer in &image.layers {
            self.push_blob(repository, layer).await;
        }
        self.push_manifest(repository, reference, MANIFEST, &image.manifest)
            .await;
    }

    /// Pulls an image, and compares every byte.
    pub(crate) async fn assert_pulls(&self, repository: &str, reference: &str, image: &Image) {
        let pulled = self
            .get(&format!("/v2/{repository}/manifests/{reference}"))
            .await;
        assert_eq!(pulled.status(), StatusCode::OK, "{repository}:{reference}");
        assert_eq!(pulled.bytes().await.expect("manifest"), image.manifest);
        for blob in image.layers.iter().chain([&image.config]) {
            let pulled = self
                .get(&format!("/v2/{repository}/blobs/{}", digest(blob)))
                .await;
            assert_eq!(pulled.status(), StatusCode::OK);
            assert_eq!(&pulled.bytes().await.expect("blob")[..], &blob[..]);
        }
    }
}
