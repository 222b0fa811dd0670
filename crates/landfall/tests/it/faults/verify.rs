//! Compares a server with what its clients know.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use landfall_oci::Digest;

use super::{
    client::{self, Answer, Client, Lost},
    content::{Blob, Image},
    dice::Dice,
    ledger::{
        Ledger,
        Presence::{Gone, Maybe, There},
    },
};
use crate::server::Server;

/// Pulls a blob that has to be there, and compares its bytes.
pub(crate) async fn pull_blob(client: &Client, name: &str, blob: &Blob) -> Result<(), Lost> {
    let answer = client.get(&client::blob(name, &blob.digest)).await?;
    let whole = answer.status == 200 && answer.body == blob.bytes();
    assert!(
        whole,
        "GET of `{}` in `{name}`: {}",
        blob.digest,
        shown(&answer)
    );
    Ok(())
}

/// An answer without the bytes of a blob.
fn shown(answer: &Answer) -> String {
    match answer.status {
        200 => format!("200 with other bytes, {} of them", answer.body.len()),
        _ => answer.told(),
    }
}

/// Everything that is wrong with a server.
pub(crate) struct Verifier<'a> {
    client: &'a Client,
    ledger: &'a mut Ledger,
    /// Blobs that were pulled already.
    pulled: BTreeSet<Digest>,
    wrong: Vec<String>,
}

impl<'a> Verifier<'a> {
    pub(crate) fn new(client: &'a Client, ledger: &'a mut Ledger) -> Self {
        Self {
            client,
            ledger,
            pulled: BTreeSet::new(),
            wrong: Vec::new(),
        }
    }

    /// Compares everything, and writes down what was found where the ledger
    /// did not know it. Some of the open uploads are brought to their end.
    pub(crate) async fn run(mut self, dice: &mut Dice) -> Result<Vec<String>, Lost> {
        self.images().await?;
        self.tags().await?;
        self.blobs().await?;
        self.uploads(dice).await?;
        Ok(self.wrong)
    }

    fn complain(&mut self, what: &str) {
        self.wrong
            .push(format!("`{}`: {what}", self.ledger.repository));
    }

    async fn images(&mut self) -> Result<(), Lost> {
        for (image, known) in self.ledger.images(&[There, Maybe, Gone]) {
            let digest = image.digest;
            let path = client::manifest(&self.ledger.repository, &digest.to_string());
            let answer = self.client.get(&path).await?;
            match (answer.status, known) {
                (200, There | Maybe) => {
                    if answer.body != image.manifest {
                        self.complain(&format!("image `{digest}` has other bytes"));
                    }
                    self.ledger.image_is_there(&image);
                    self.pull_image(&image).await?;
                }
                (404, Maybe | Gone) => self.ledger.image_is_gone(&digest),
                _ => self.complain(&format!(
                    "image `{digest}` is {known:?}: {}",
                    shown(&answer)
                )),
            }
        }
        Ok(())
    }

    async fn pull_image(&mut self, image: &Image) -> Result<(), Lost> {
        for blob in &*image.blobs {
            self.pull(blob, "which an image needs").await?;
        }
        Ok(())
    }

    async fn pull(&mut self, blob: &Blob, why: &str) -> Result<(), Lost> {
        if !self.pulled.insert(blob.digest) {
            return Ok(());
        }
        let path = client::blob(&self.ledger.repository, &blob.digest);
        let answer = self.client.get(&path).await?;
        if answer.status != 200 || answer.body != blob.bytes() {
            self.complain(&format!(
                "blob `{}`, {why}: {}",
                blob.digest,
                shown(&answer)
            ));
        }
        Ok(())
    }

    async fn tags(&mut self) -> Result<(), Lost> {
        let mut found = BTreeSet::new();
        for tag in self.ledger.tags() {
            let path = client::manifest(&self.ledger.repository, &tag);
            let answer = self.client.get(&path).await?;
            let at: Option<Digest> = answer.header("docker-content-digest").parse().ok();
            let at = at.filter(|_| answer.status == 200);
            let expected = self.ledger.tag_expected(&tag);
            if !expected.contains(&at) || !matches!(answer.status, 200 | 404) {
                self.complain(&format!(
                    "tag `{tag}` is not in {expected:?}: {}",
                    answer.told()
                ));
            }
            self.ledger.tag_is(&tag, at);
            let Some(image) = at.and_then(|at| self.ledger.image(&at)) else {
                continue;
            };
            found.insert(tag.clone());
            if answer.body != image.manifest || self.ledger.image_expected(&image.digest) != There {
                self.complain(&format!("tag `{tag}` points at an image that is not there"));
            }
        }
        let path = format!("/v2/{}/tags/list?n=100", self.ledger.repository);
        let answer = self.client.get(&path).await?;
        let list: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let names = list["tags"].as_array().into_iter().flatten();
        let listed: BTreeSet<String> = names
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect();
        let complete = answer.status == 200 || (answer.status == 404 && found.is_empty());
        if !complete || listed != found {
            self.complain(&format!(
                "the list of tags is not {found:?}: {}",
                answer.told()
            ));
        }
        Ok(())
    }

    async fn blobs(&mut self) -> Result<(), Lost> {
        for blob in self.ledger.blobs() {
            let expected = self.ledger.blob_expected(&blob.digest);
            let path = client::blob(&self.ledger.repository, &blob.digest);
            let answer = self.client.head(&path).await?;
            match (answer.status, expected) {
                (200, There | Maybe) => {
                    self.ledger.blob_is(&blob, There);
                    self.pull(&blob, "which HEAD says is there").await?;
                }
                (404, Maybe | Gone) => self.ledger.blob_is(&blob, Gone),
                _ => {
                    let digest = blob.digest;
                    self.complain(&format!(
                        "blob `{digest}` is {expected:?}: {}",
                        shown(&answer)
                    ));
                }
            }
        }
        Ok(())
    }

    async fn uploads(&mut self, dice: &mut Dice) -> Result<(), Lost> {
        for (path, upload) in self.ledger.uploads(&[There, Maybe, Gone]) {
            let answer = self.client.get(&path).await?;
            let at = answer.received();
            let (least, most, known) = (upload.least, upload.most, upload.presence);
            match (answer.status, known) {
                (204, There | Maybe) if (least..=most).contains(&at) => {
                    self.ledger.upload_stands(&path, at);
                    if dice.percent(50) {
                        self.finish(&path, &upload.blob, at).await?;
                    }
                }
                (404, Maybe | Gone) => self.ledger.upload_is_gone(&path),
                _ => self.complain(&format!(
                    "an upload that is {known:?}, from {least} to {most}, is at {at}: {}",
                    answer.told()
                )),
            }
        }
        Ok(())
    }

    /// What was acknowledged is kept: the rest makes the blob whole.
    async fn finish(&mut self, path: &str, blob: &Blob, at: u64) -> Result<(), Lost> {
        let rest = blob.part(at, blob.size);
        let answer = self.client.finish(path, &blob.digest, rest).await?;
        if answer.status != 201 {
            self.complain(&format!(
                "an upload does not go on from {at}: {}",
                answer.told()
            ));
            return Ok(());
        }
        self.ledger.upload_is_gone(path);
        self.ledger.blob_is(blob, There);
        self.pulled.remove(&blob.digest);
        self.pull(blob, "which was uploaded in two lives of the server")
            .await
    }
}

/// What `fsck` finds; empty if all is well.
pub(crate) fn fsck(server: &Server) -> Vec<String> {
    let output = server.landfall(["fsck", "--output", "json"]);
    let run: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    if output.status.success() && run["report"]["clean"] == true {
        return Vec::new();
    }
    vec![format!(
        "fsck: {run} {}",
        String::from_utf8_lossy(&output.stderr)
    )]
}

/// Lines of the log that no fault excuses.
pub(crate) fn panics(log: &str) -> Vec<String> {
    log.lines()
        .filter(|line| line.contains("panicked"))
        .map(str::to_owned)
        .collect()
}

/// Every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let place = if path.is_dir() {
                &mut folders
            } else {
                &mut found
            };
            place.push(path);
        }
    }
    found
}
