//! Small images, and how a client pushes one.

use serde_json::json;

use crate::{
    Error, Result,
    content::{digest, noise},
    wire::{self, Connection},
};

/// The media type of an image's manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const BYTES: &str = "application/octet-stream";
/// Bytes of a layer.
const LAYER_SIZE: usize = 1024;
/// A collector without grace may take a layer away before its image comes;
/// the client then sends it again, this often at the most.
const TRIES: u32 = 20;

/// A configuration and two layers of 1 KiB that no other image has.
#[derive(Debug)]
pub struct Image {
    /// Bytes and digests: the configuration first.
    blobs: [(Vec<u8>, String); 3],
}

/// A manifest on its way.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Its bytes.
    pub content: Vec<u8>,
    /// Their digest.
    pub digest: String,
}

impl Image {
    /// The image that belongs to a seed.
    pub fn new(seed: u64) -> Self {
        let config = json!({
            "architecture": "amd64", "os": "linux",
            "config": { "Labels": { "seed": seed.to_string() } },
            "rootfs": { "type": "layers", "diff_ids": [] },
        });
        let with_digest = |bytes: Vec<u8>| {
            let digest = digest(&bytes);
            (bytes, digest)
        };
        Self {
            blobs: [
                with_digest(config.to_string().into_bytes()),
                with_digest(noise(seed, LAYER_SIZE)),
                with_digest(noise(!seed, LAYER_SIZE)),
            ],
        }
    }

    /// A manifest of it, with a note that makes it differ from others.
    pub fn manifest(&self, note: &str) -> Manifest {
        let descriptor = |index: usize, kind: &str| {
            let (bytes, digest) = &self.blobs[index];
            json!({ "mediaType": kind, "size": bytes.len(), "digest": digest })
        };
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(0, CONFIG),
            "layers": [descriptor(1, LAYER), descriptor(2, LAYER)],
            "annotations": { "note": note },
        });
        let content = manifest.to_string().into_bytes();
        let digest = digest(&content);
        Manifest { content, digest }
    }

    /// Sends what of its blobs the repository lacks.
    pub fn push_blobs(&self, connection: &mut Connection, repository: &str) -> Result<()> {
        for (bytes, digest) in &self.blobs {
            let path = format!("/v2/{repository}/blobs/{digest}");
            let found = connection.expect(("HEAD", &path), None, b"", &[200, 404])?;
            if found.status == 404 {
                push_blob(connection, repository, bytes, digest)?;
            }
        }
        Ok(())
    }

    /// Pushes it as clients do: each blob if it isn't there, then the manifest
    /// under a tag. Answers how often a blob had to be sent again.
    pub fn push(&self, connection: &mut Connection, repository: &str, tag: &str) -> Result<u32> {
        let manifest = self.manifest(tag);
        let mut again = 0;
        loop {
            self.push_blobs(connection, repository)?;
            let path = format!("/v2/{repository}/manifests/{tag}");
            let answer = connection.ask("PUT", &path, Some(MANIFEST), &manifest.content)?;
            match answer.status {
                201 => return Ok(again),
                404 | 400 if again < TRIES && names_a_blob(&answer.body) => again += 1,
                _ => return Err(wire::refused("PUT", &path, &answer)),
            }
        }
    }
}

fn names_a_blob(body: &[u8]) -> bool {
    String::from_utf8_lossy(body).contains("BLOB_UNKNOWN")
}

/// Sends one blob: `POST`, then `PUT` with its bytes.
pub fn push_blob(
    connection: &mut Connection,
    repository: &str,
    bytes: &[u8],
    digest: &str,
) -> Result<()> {
    let path = upload_path(connection, repository, digest)?;
    connection.expect(("PUT", &path), Some(BYTES), bytes, &[201])?;
    Ok(())
}

/// Starts an upload, and answers where its bytes go.
pub fn upload_path(connection: &mut Connection, repository: &str, digest: &str) -> Result<String> {
    let path = format!("/v2/{repository}/blobs/uploads/");
    let started = connection.expect(("POST", &path), None, b"", &[202])?;
    let Some(location) = started.header("location") else {
        return Err(Error::Wrong {
            request: format!("POST {path}"),
            why: "it has no `Location`".to_owned(),
        });
    };
    let location = wire::path_of(location);
    let sign = if location.contains('?') { '&' } else { '?' };
    Ok(format!("{location}{sign}digest={digest}"))
}

/// Puts a manifest under a tag.
pub fn put_manifest(
    connection: &mut Connection,
    repository: &str,
    tag: &str,
    manifest: &Manifest,
) -> Result<()> {
    let path = format!("/v2/{repository}/manifests/{tag}");
    connection.expect(("PUT", &path), Some(MANIFEST), &manifest.content, &[201])?;
    Ok(())
}
