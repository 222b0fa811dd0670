//! Real images, made by umoci: a static busybox and a greeting.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{run, scratch::Scratch, tool};
use crate::session::{INDEX, digest};

const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Content by its digest.
pub(super) type Blobs = BTreeMap<String, Vec<u8>>;

/// A directory in the OCI image layout.
pub(super) struct Layout {
    path: PathBuf,
}

impl Layout {
    /// Makes images that share their first layer. Each prints its greeting
    /// when it is run. Given are their tags, architectures and greetings.
    pub(super) fn make(scratch: &Scratch, images: &[(&str, &str, &str)]) -> Self {
        // The package has to be this one: `busybox` needs a C library.
        assert!(
            Path::new("/usr/share/doc/busybox-static").exists(),
            "`busybox` is missing: install the Debian package `busybox-static`"
        );
        let layout = Self::open(&scratch.path("layout"));
        let umoci = |words: &[&str]| {
            run(tool("umoci", "umoci").args(words));
        };
        let image = |tag: &str| layout.name(tag);
        umoci(&["init", "--layout", &layout.path.display().to_string()]);
        umoci(&["new", "--image", &image("base")]);
        let base = scratch.path("base.tar");
        let busybox = fs::read("/bin/busybox").expect("busybox");
        archive(&base, "bin/busybox", &busybox);
        umoci(&[
            "raw",
            "add-layer",
            "--image",
            &image("base"),
            &base.display().to_string(),
        ]);
        for (tag, architecture, greeting) in images {
            let top = scratch.path("top.tar");
            archive(&top, "greeting", format!("{greeting}\n").as_bytes());
            let (base, top) = (image("base"), top.display().to_string());
            umoci(&["raw", "add-layer", "--image", &base, "--tag", tag, &top]);
            let mut words = vec!["config", "--image"];
            let image = image(tag);
            words.extend([
                image.as_str(),
                "--architecture",
                architecture,
                "--os",
                "linux",
            ]);
            words.extend(["--config.cmd", "/bin/busybox", "--config.cmd", "cat"]);
            words.extend(["--config.cmd", "/greeting"]);
            umoci(&words);
        }
        layout
    }

    /// A layout that is there, or will be.
    pub(super) fn open(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// `path:tag`, as umoci wants it.
    fn name(&self, tag: &str) -> String {
        format!("{}:{tag}", self.path.display())
    }

    /// `oci:path:tag`, as skopeo and podman want it.
    pub(super) fn transport(&self, tag: &str) -> String {
        format!("oci:{}", self.name(tag))
    }

    /// Adds an index of images.
    pub(super) fn add_index(&self, tag: &str, images: &[(&str, &str)]) {
        let entries = images.iter().map(|(image, architecture)| {
            let mut entry = self.entry(image);
            entry["platform"] = json!({ "os": "linux", "architecture": architecture });
            if let Some(entry) = entry.as_object_mut() {
                entry.remove("annotations");
            }
            entry
        });
        let entries: Vec<Value> = entries.collect();
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
        let bytes = index.to_string().into_bytes();
        let digest = digest(&bytes);
        fs::write(self.blob_path(&digest.to_string()), &bytes).expect("a blob");
        let mut list = self.list();
        let entry = json!({ "mediaType": INDEX, "digest": digest, "size": bytes.len(),
            "annotations": { REF_NAME: tag } });
        list["manifests"]
            .as_array_mut()
            .expect("a list")
            .push(entry);
        fs::write(self.path.join("index.json"), list.to_string()).expect("the list");
    }

    fn list(&self) -> Value {
        let text = fs::read(self.path.join("index.json")).expect("the list of a layout");
        serde_json::from_slice(&text).expect("JSON")
    }

    /// The descriptor of a tag.
    fn entry(&self, tag: &str) -> Value {
        let list = self.list();
        let entries = list["manifests"].as_array().expect("a list");
        let named = |entry: &&Value| entry["annotations"][REF_NAME] == tag;
        entries
            .iter()
            .find(named)
            .unwrap_or_else(|| panic!("no tag {tag}"))
            .clone()
    }

    fn blob_path(&self, digest: &str) -> PathBuf {
        self.path.join("blobs").join(digest.replace(':', "/"))
    }

    /// The digest of a tag's manifest.
    pub(super) fn digest(&self, tag: &str) -> String {
        self.entry(tag)["digest"]
            .as_str()
            .expect("a digest")
            .to_owned()
    }

    /// The manifest of a tag.
    pub(super) fn manifest(&self, tag: &str) -> Value {
        let bytes = fs::read(self.blob_path(&self.digest(tag))).expect("a manifest");
        serde_json::from_slice(&bytes).expect("JSON")
    }

    /// The digest of the configuration of a tag: what clients call the
    /// image's id.
    pub(super) fn config(&self, tag: &str) -> String {
        self.manifest(tag)["config"]["digest"]
            .as_str()
            .expect("a digest")
            .to_owned()
    }

    /// Everything that a tag leads to: manifests, configurations, layers.
    pub(super) fn content(&self, tag: &str) -> Blobs {
        let mut content = Blobs::new();
        let mut open = vec![self.digest(tag)];
        while let Some(each) = open.pop() {
            let bytes = fs::read(self.blob_path(&each)).expect("a blob of the layout");
            assert_eq!(digest(&bytes).to_string(), each, "the layout is damaged");
            let parsed: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let lists = ["layers", "manifests"].map(|list| parsed[list].as_array().cloned());
            let below = lists.into_iter().flatten().flatten();
            for descriptor in below.chain([parsed["config"].clone()]) {
                open.extend(descriptor["digest"].as_str().map(str::to_owned));
            }
            content.insert(each, bytes);
        }
        content
    }
}

/// Writes a layer with one file.
fn archive(path: &Path, name: &str, content: &[u8]) {
    let mut tar = tar::Builder::new(File::create(path).expect("a file"));
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o755);
    header.set_mtime(1_700_000_000);
    tar.append_data(&mut header, name, content)
        .expect("an entry");
    tar.finish().expect("an archive");
}
