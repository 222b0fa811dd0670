//! Media types.

use landfall_oci::MediaType;
use proptest::prelude::*;

fn media_type(text: &str) -> MediaType {
    text.parse().expect(text)
}

#[test]
fn what_is_no_media_type_is_refused() {
    for text in [
        "",
        "json",
        "/",
        "a/",
        "/a",
        "a/b/c",
        "a b/c",
        "-a/b",
        "a/\u{e4}",
        "a/b;\n",
        "a/b\r\nX: y",
    ] {
        assert!(text.parse::<MediaType>().is_err(), "{text:?}");
    }
    assert!(
        format!("a/{}", "b".repeat(127))
            .parse::<MediaType>()
            .is_ok()
    );
    assert!(
        format!("a/{}", "b".repeat(128))
            .parse::<MediaType>()
            .is_err()
    );
    assert!("text/plain; charset=utf-8".parse::<MediaType>().is_ok());
}

#[test]
fn the_four_manifest_types_are_images_or_indexes() {
    let kinds = MediaType::MANIFESTS.map(|known| (known.is_image(), known.is_index()));
    assert_eq!(
        kinds,
        [(true, false), (false, true), (true, false), (false, true)]
    );
    assert!(!MediaType::OCI_CONFIG.is_manifest());
    assert!(!media_type("application/vnd.oci.image.manifest.v2+json").is_manifest());
}

#[test]
fn layers_that_are_not_to_be_distributed_are_known_by_type() {
    for text in [
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ] {
        assert!(media_type(text).is_nondistributable(), "{text}");
    }
    for layer in [
        MediaType::OCI_LAYER,
        MediaType::OCI_LAYER_GZIP,
        MediaType::OCI_LAYER_ZSTD,
        MediaType::DOCKER_LAYER_GZIP,
    ] {
        assert!(!layer.is_nondistributable(), "{layer}");
    }
}

proptest! {
    #[test]
    fn a_media_type_prints_as_it_was(text in "[a-z0-9]{1,9}/[a-zA-Z0-9]([!#$&^_.+-]|[a-z0-9]){0,20}") {
        prop_assert_eq!(media_type(&text).to_string(), text);
    }

    #[test]
    fn a_media_type_can_stand_in_a_header(text in ".{0,4}/.{0,4}(;.{0,4})?") {
        if let Ok(media_type) = text.parse::<MediaType>() {
            prop_assert!(media_type.as_str().bytes().all(|b| b == b' ' || b.is_ascii_graphic()));
        }
    }
}
