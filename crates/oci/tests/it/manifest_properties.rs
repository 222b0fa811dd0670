//! What holds for every manifest, and for every document at all.

use std::collections::BTreeMap;

use landfall_oci::{Algorithm, Descriptor, Digest, Manifest, MediaType, Platform};
use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
    sample::{Index, select},
};

/// Asserts what must hold whatever was parsed.
pub(crate) fn check(bytes: &[u8], content_type: Option<&str>) {
    let Ok(manifest) = Manifest::parse(bytes, content_type) else {
        return;
    };
    let is_index = manifest.media_type.is_index();
    assert!(manifest.media_type.is_manifest());
    assert_eq!(manifest.config.is_some(), !is_index);
    assert!(if is_index {
        manifest.layers.is_empty()
    } else {
        manifest.manifests.is_empty()
    });
    let all = manifest.layers.iter().chain(&manifest.manifests);
    let all = all.chain(&manifest.config).chain(&manifest.subject);
    assert!(all.clone().count() <= 10_000);
    assert!(
        all.clone()
            .all(|descriptor| i64::try_from(descriptor.size).is_ok())
    );
    let text = serde_json::to_vec(&manifest).expect("JSON");
    let again = Manifest::parse(&text, Some(manifest.media_type.as_str()));
    assert_eq!(again.as_ref(), Ok(&manifest));
}

fn annotations() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(any::<String>(), any::<String>(), 0..3)
}

fn media_type() -> impl Strategy<Value = MediaType> {
    let any_type = "[a-z]{1,9}/[a-z0-9]{1,9}([.+-][a-z0-9]{1,9}){0,2}(;[ -~]{0,9})?";
    let known = [
        MediaType::OCI_MANIFEST,
        MediaType::OCI_LAYER_GZIP,
        MediaType::DOCKER_FOREIGN_LAYER,
    ];
    prop_oneof![
        select(known.to_vec()),
        any_type.prop_map(|text| text.parse().expect("a media type")),
    ]
}

fn digest() -> impl Strategy<Value = Digest> {
    (select(Algorithm::ALL.as_slice()), any::<[u8; 64]>()).prop_map(|(algorithm, bytes)| {
        Digest::from_bytes(algorithm, &bytes[..algorithm.size()]).expect("the right size")
    })
}

fn platform() -> impl Strategy<Value = Platform> {
    let text = any::<String>;
    let rest = (option::of(text()), vec(text(), 0..3), option::of(text()));
    (text(), text(), rest).prop_map(|(architecture, os, (os_version, os_features, variant))| {
        Platform {
            architecture,
            os,
            os_version,
            os_features,
            variant,
        }
    })
}

fn descriptor() -> impl Strategy<Value = Descriptor> {
    let required = (media_type(), digest(), 0..=i64::MAX.unsigned_abs());
    let optional = (
        vec(any::<String>(), 0..3),
        annotations(),
        option::of(media_type()),
        option::of(platform()),
        option::of(any::<String>()),
    );
    (required, optional).prop_map(|((media_type, digest, size), optional)| {
        let (urls, annotations, artifact_type, platform, data) = optional;
        Descriptor {
            media_type,
            digest,
            size,
            urls,
            annotations,
            artifact_type,
            platform,
            data,
        }
    })
}

fn manifest() -> impl Strategy<Value = Manifest> {
    (
        select(MediaType::MANIFESTS.as_slice()),
        option::of(media_type()),
        descriptor(),
        vec(descriptor(), 0..4),
        option::of(descriptor()),
        annotations(),
    )
        .prop_map(
            |(media_type, artifact_type, config, list, subject, annotations)| {
                let is_index = media_type.is_index();
                let (layers, manifests) = if is_index {
                    (vec![], list)
                } else {
                    (list, vec![])
                };
                let config = (!is_index).then_some(config);
                Manifest {
                    media_type,
                    artifact_type,
                    config,
                    layers,
                    manifests,
                    subject,
                    annotations,
                }
            },
        )
}

proptest! {
    #[test]
    fn a_manifest_round_trips(manifest in manifest()) {
        let text = serde_json::to_vec_pretty(&manifest).expect("JSON");
        for content_type in [None, Some(manifest.media_type.as_str())] {
            let again = Manifest::parse(&text, content_type);
            prop_assert_eq!(again.as_ref(), Ok(&manifest));
        }
    }

    #[test]
    fn a_descriptor_round_trips_by_itself(descriptor in descriptor()) {
        let text = serde_json::to_string(&descriptor).expect("JSON");
        let again: Descriptor = serde_json::from_str(&text).expect("a descriptor");
        prop_assert_eq!(again, descriptor);
    }

    #[test]
    fn what_is_required_is_what_may_be_distributed(manifest in manifest()) {
        let required = manifest.required_blobs().count();
        let foreign = manifest.layers.iter().filter(|l| l.media_type.is_nondistributable()).count();
        let blobs = manifest.layers.len() + usize::from(manifest.config.is_some());
        prop_assert_eq!(required + foreign, blobs);
        let split = manifest.required_manifests().count() + manifest.other_content().count();
        prop_assert_eq!(split, manifest.manifests.len());
    }

    #[test]
    fn no_damage_to_a_manifest_can_break_the_parser(
        manifest in manifest(),
        edits in vec((any::<Index>(), any::<Index>(), select(b"{}[]\",:0x\\\xff".as_slice())), 1..4),
    ) {
        let mut text = serde_json::to_vec(&manifest).expect("JSON");
        for (at, length, byte) in edits {
            let start = at.index(text.len());
            let end = (start + length.index(4)).min(text.len());
            text.splice(start..end, [byte]);
            check(&text, None);
            check(&text, Some(manifest.media_type.as_str()));
        }
    }

    #[test]
    fn no_document_of_the_right_words_can_break_the_parser(
        words in vec(select(WORDS), 0..60),
    ) {
        check(words.concat().as_bytes(), None);
    }
}

/// What manifests are made of.
const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "2",
    "-1",
    "1e9",
    "\"\"",
    "\"a/b\"",
    "\"schemaVersion\":2,",
    "\"mediaType\":",
    "\"config\":",
    "\"layers\":",
    "\"manifests\":",
    "\"subject\":",
    "\"annotations\":",
    "\"digest\":",
    "\"size\":0",
    "\"urls\":",
    "\"platform\":{\"os\":\"linux\"}",
    "\"application/vnd.oci.image.index.v1+json\"",
    "{\"schemaVersion\":2,\"manifests\":[",
    "{\"mediaType\":\"a/b\",\"size\":1,\"digest\":\"sha256:\
     0000000000000000000000000000000000000000000000000000000000000000\"}",
];
