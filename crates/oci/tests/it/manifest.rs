//! Manifests that are taken, and what is read from them.

use landfall_oci::{Descriptor, Manifest, MediaType};
use serde_json::{Value, json};

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// A digest that is told from others by its first digit.
pub(crate) fn digest(first: char) -> String {
    format!("sha256:{first}{}", "0".repeat(63))
}

pub(crate) fn descriptor(media_type: &str, first: char) -> Value {
    json!({ "mediaType": media_type, "digest": digest(first), "size": 10 })
}

/// A well-formed OCI image manifest with two layers.
pub(crate) fn image() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", 'c'),
        "layers": [
            descriptor("application/vnd.oci.image.layer.v1.tar+gzip", '1'),
            descriptor("application/vnd.oci.image.layer.v1.tar+gzip", '2'),
        ],
    })
}

/// A well-formed OCI index with one image.
pub(crate) fn index() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [descriptor(OCI_MANIFEST, 'a')],
    })
}

/// The value with some fields set; a field that is set to nothing is removed.
pub(crate) fn with<const N: usize>(mut value: Value, fields: [(&str, Option<Value>); N]) -> Value {
    let object = value.as_object_mut().expect("an object");
    for (name, field) in fields {
        match field {
            Some(field) => object.insert(name.to_owned(), field),
            None => object.remove(name),
        };
    }
    value
}

fn parse(value: &Value) -> Manifest {
    let bytes = serde_json::to_vec(value).expect("JSON");
    match Manifest::parse(&bytes, None) {
        Ok(manifest) => manifest,
        Err(error) => panic!("{error}: {value}"),
    }
}

fn digits<'a>(descriptors: impl Iterator<Item = &'a Descriptor>) -> String {
    descriptors
        .filter_map(|descriptor| descriptor.digest.hex().chars().next())
        .collect()
}

#[test]
fn an_image_requires_its_configuration_and_its_layers() {
    let manifest = parse(&image());
    assert_eq!(manifest.media_type, MediaType::OCI_MANIFEST);
    assert_eq!(digits(manifest.required_blobs()), "c12");
    assert_eq!(manifest.required_manifests().count(), 0);
}

#[test]
fn an_index_requires_its_manifests_but_not_what_else_it_lists() {
    let entries = json!([
        descriptor(OCI_MANIFEST, 'a'),
        descriptor(DOCKER_LIST, 'b'),
        descriptor("application/vnd.oci.image.layer.v1.tar+gzip", '1'),
    ]);
    let manifest = parse(&with(index(), [("manifests", Some(entries))]));
    assert_eq!(manifest.media_type, MediaType::OCI_INDEX);
    assert_eq!(digits(manifest.required_manifests()), "ab");
    assert_eq!(digits(manifest.other_content()), "1");
    assert_eq!(manifest.required_blobs().count(), 0);
}

#[test]
fn layers_that_are_not_to_be_distributed_are_not_required() {
    let foreign = with(
        descriptor(
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            '1',
        ),
        [("urls", Some(json!(["https://example.com/layer"])))],
    );
    let layers = json!([
        foreign,
        descriptor(
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            '2'
        ),
        descriptor("application/vnd.oci.image.layer.v1.tar", '3'),
    ]);
    let manifest = parse(&with(image(), [("layers", Some(layers))]));
    assert_eq!(digits(manifest.layers.iter()), "123");
    assert_eq!(digits(manifest.required_blobs()), "c3");
    assert_eq!(manifest.layers[0].urls, ["https://example.com/layer"]);
}

#[test]
fn the_docker_types_are_read_like_their_oci_twins() {
    let manifest = parse(&with(
        image(),
        [("mediaType", Some(json!(DOCKER_MANIFEST)))],
    ));
    assert_eq!(manifest.media_type, MediaType::DOCKER_MANIFEST);
    assert_eq!(digits(manifest.required_blobs()), "c12");
    let list = parse(&with(index(), [("mediaType", Some(json!(DOCKER_LIST)))]));
    assert_eq!(list.media_type, MediaType::DOCKER_MANIFEST_LIST);
    assert_eq!(digits(list.required_manifests()), "a");
}

#[test]
fn the_type_comes_from_the_header_the_document_or_its_fields() {
    let untyped = with(image(), [("mediaType", None)]);
    let bytes = serde_json::to_vec(&untyped).expect("JSON");
    for (header, expected) in [
        (None, MediaType::OCI_MANIFEST),
        (Some(""), MediaType::OCI_MANIFEST),
        (Some(OCI_MANIFEST), MediaType::OCI_MANIFEST),
        (Some(DOCKER_MANIFEST), MediaType::DOCKER_MANIFEST),
        (
            Some(&*format!("{DOCKER_MANIFEST}; charset=utf-8")),
            MediaType::DOCKER_MANIFEST,
        ),
        (Some(&*OCI_MANIFEST.to_uppercase()), MediaType::OCI_MANIFEST),
    ] {
        let manifest = Manifest::parse(&bytes, header).expect("a manifest");
        assert_eq!(manifest.media_type, expected, "{header:?}");
    }
    assert_eq!(
        parse(&with(index(), [("mediaType", None)])).media_type,
        MediaType::OCI_INDEX
    );
}

#[test]
fn lists_may_be_empty_missing_or_null_where_clients_write_them_so() {
    for layers in [None, Some(Value::Null), Some(json!([]))] {
        assert_eq!(parse(&with(image(), [("layers", layers)])).layers, []);
    }
    for manifests in [Value::Null, json!([])] {
        assert_eq!(
            parse(&with(index(), [("manifests", Some(manifests))])).manifests,
            []
        );
    }
}

#[test]
fn an_artifact_is_read_whole() {
    let subject = descriptor(OCI_MANIFEST, '5');
    let layer = with(
        descriptor("text/plain; charset=utf-8", '1'),
        [
            (
                "annotations",
                Some(json!({ "org.opencontainers.image.title": "a.txt" })),
            ),
            ("data", Some(json!("e30="))),
            ("artifactType", Some(json!("application/vnd.example.part"))),
        ],
    );
    let manifest = parse(&with(
        image(),
        [
            (
                "artifactType",
                Some(json!("application/vnd.example.sbom.v1")),
            ),
            ("subject", Some(subject)),
            ("layers", Some(json!([layer]))),
            ("annotations", Some(json!({ "a": "1", "b": "" }))),
        ],
    ));
    assert_eq!(
        manifest.referrer_type().map(MediaType::as_str),
        Some("application/vnd.example.sbom.v1")
    );
    assert_eq!(digits(manifest.subject.iter()), "5");
    assert_eq!(digits(manifest.required_blobs()), "c1");
    assert_eq!(manifest.annotations["a"], "1");
    assert_eq!(manifest.annotations["b"], "");
    let layer = &manifest.layers[0];
    assert_eq!(layer.media_type.as_str(), "text/plain; charset=utf-8");
    assert_eq!(layer.annotations["org.opencontainers.image.title"], "a.txt");
    assert_eq!(layer.data.as_deref(), Some("e30="));
    assert_eq!(
        layer.artifact_type.as_ref().map(MediaType::as_str),
        Some("application/vnd.example.part")
    );
}

#[test]
fn a_referrer_without_an_artifact_type_shows_that_of_its_configuration() {
    for artifact_type in [None, Some(Value::Null), Some(json!(""))] {
        let manifest = parse(&with(image(), [("artifactType", artifact_type)]));
        assert_eq!(manifest.referrer_type(), Some(&MediaType::OCI_CONFIG));
    }
    assert_eq!(parse(&index()).referrer_type(), None);
}

#[test]
fn a_platform_is_read_and_shown_as_clients_write_it() {
    let platform = json!({
        "architecture": "arm64",
        "os": "linux",
        "os.version": "1",
        "os.features": ["x"],
        "variant": "v8",
        "features": ["ignored"],
    });
    let entry = with(
        descriptor(OCI_MANIFEST, 'a'),
        [("platform", Some(platform))],
    );
    let manifest = parse(&with(index(), [("manifests", Some(json!([entry])))]));
    let platform = manifest.manifests[0].platform.as_ref().expect("a platform");
    assert_eq!(platform.to_string(), "linux/arm64/v8");
    assert_eq!(platform.os_version.as_deref(), Some("1"));
    assert_eq!(platform.os_features, ["x"]);
}

#[test]
fn unknown_fields_are_ignored_whatever_they_hold() {
    let noise = json!({ "digest": 1, "Digest": [], "layers": { "config": null } });
    let config = with(
        descriptor("application/vnd.oci.image.config.v1+json", 'c'),
        [("x-note", Some(noise.clone()))],
    );
    let manifest = parse(&with(
        image(),
        [("x-note", Some(noise)), ("config", Some(config))],
    ));
    assert_eq!(digits(manifest.required_blobs()), "c12");
}

#[test]
fn annotations_may_be_named_like_fields() {
    let annotations = json!({ "digest": "x", "Digest": "y", "size": "1" });
    let manifest = parse(&with(image(), [("annotations", Some(annotations))]));
    assert_eq!(manifest.annotations["Digest"], "y");
}

#[test]
fn sha512_and_the_largest_size_are_taken() {
    let digest = format!("sha512:{}", "0".repeat(128));
    let layer = json!({ "mediaType": "a/b", "digest": digest, "size": i64::MAX });
    let manifest = parse(&with(image(), [("layers", Some(json!([layer])))]));
    assert_eq!(manifest.layers[0].digest.to_string(), digest);
    assert_eq!(manifest.layers[0].size, i64::MAX.unsigned_abs());
}

#[test]
fn an_index_of_referrers_is_written_as_the_specification_shows_it() {
    let mut entry = Descriptor::new(
        MediaType::OCI_MANIFEST,
        digest('a').parse().expect("a digest"),
        1234,
    );
    entry.artifact_type = Some("application/vnd.example.sbom.v1".parse().expect("a type"));
    entry.annotations.insert("k".to_owned(), "v".to_owned());
    assert_eq!(
        serde_json::to_value(Manifest::index(vec![entry])).expect("JSON"),
        json!({
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [{
                "mediaType": OCI_MANIFEST,
                "digest": digest('a'),
                "size": 1234,
                "annotations": { "k": "v" },
                "artifactType": "application/vnd.example.sbom.v1",
            }],
        })
    );
    assert_eq!(
        serde_json::to_string(&Manifest::index(Vec::new())).expect("JSON"),
        format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[]}}"#)
    );
}
