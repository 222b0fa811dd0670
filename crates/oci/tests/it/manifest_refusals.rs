//! Documents that are refused, and the sentence that says why.

use landfall_oci::{Manifest, ManifestError, MediaType};
use serde_json::{Value, json};

use crate::manifest::{
    DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, descriptor, digest, image, index, with,
};

fn refuse(text: &str, content_type: Option<&str>) -> ManifestError {
    match Manifest::parse(text.as_bytes(), content_type) {
        Ok(manifest) => panic!("was read as {manifest:?}"),
        Err(error) => error,
    }
}

fn refusal(value: &Value) -> ManifestError {
    refuse(&value.to_string(), None)
}

/// The message for an image whose only layer has one field changed.
fn layer_refusal(name: &str, field: Option<Value>) -> String {
    let layer = with(descriptor("a/b", '1'), [(name, field)]);
    refusal(&with(image(), [("layers", Some(json!([layer])))])).to_string()
}

#[test]
fn what_is_no_json_object_is_refused() {
    for text in [
        "",
        "{",
        "[]",
        "null",
        "1",
        "\"\"",
        "{}{}",
        "{\"a\":}",
        "\u{feff}{}",
        "{'a':1}",
    ] {
        assert!(
            matches!(refuse(text, None), ManifestError::Json { .. }),
            "{text}"
        );
    }
    let error = Manifest::parse(b"{\"\xff\":1}", Some(OCI_MANIFEST)).expect_err("no UTF-8");
    assert!(matches!(error, ManifestError::Json { .. }));
    assert_eq!(
        refuse("{\"a\" 1}", None).to_string(),
        "the manifest is no valid JSON: expected `:` at line 1 column 6"
    );
}

#[test]
fn deep_nesting_is_refused_before_it_is_parsed() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
        for closed in [true, false] {
            let mut text = String::from("{\"x\":");
            text.push_str(&open.repeat(1_000_000));
            if closed {
                text.push_str(&close.repeat(1_000_000));
            }
            assert_eq!(refuse(&text, None), ManifestError::TooDeep { limit: 64 });
        }
    }
    assert_eq!(
        ManifestError::TooDeep { limit: 64 }.to_string(),
        "the manifest nests objects and arrays more than 64 levels deep"
    );
}

#[test]
fn brackets_in_strings_are_no_nesting_and_64_levels_are_taken() {
    let strings = json!(["[".repeat(500), "\"{[\\".repeat(500)]);
    let nested = (0..63).fold(json!(1), |inner, _| json!([inner]));
    let value = with(image(), [("x", Some(strings)), ("y", Some(nested.clone()))]);
    assert!(Manifest::parse(value.to_string().as_bytes(), None).is_ok());
    let deeper = with(image(), [("y", Some(json!([nested])))]);
    assert_eq!(refusal(&deeper), ManifestError::TooDeep { limit: 64 });
}

#[test]
fn more_than_10_000_descriptors_are_refused_over_the_whole_document() {
    let layers = |count| Some(json!(vec![descriptor("a/b", '1'); count]));
    // One more descriptor is the configuration.
    let most = with(image(), [("layers", layers(9_999))]);
    assert!(Manifest::parse(most.to_string().as_bytes(), None).is_ok());
    let error = refusal(&with(image(), [("layers", layers(10_000))]));
    assert_eq!(
        error,
        ManifestError::TooMany {
            what: "descriptors",
            limit: 10_000
        }
    );
    assert_eq!(
        error.to_string(),
        "the manifest has more than 10000 descriptors"
    );
    let entries = Some(json!(vec![descriptor(OCI_MANIFEST, '1'); 10_001]));
    let error = refusal(&with(index(), [("manifests", entries)]));
    assert!(matches!(error, ManifestError::TooMany { .. }));
}

#[test]
fn more_than_100_000_annotations_and_urls_are_refused() {
    let urls = with(
        descriptor("a/b", '1'),
        [("urls", Some(json!(vec![""; 60_000])))],
    );
    let error = refusal(&with(image(), [("layers", Some(json!([urls, urls])))]));
    assert!(
        matches!(error, ManifestError::TooMany { limit: 100_000, .. }),
        "{error}"
    );
    let annotations: Value = (0..100_001)
        .map(|key| (format!("{key}"), json!("")))
        .collect();
    let error = refusal(&with(image(), [("annotations", Some(annotations))]));
    assert!(
        matches!(error, ManifestError::TooMany { limit: 100_000, .. }),
        "{error}"
    );
}

#[test]
fn docker_schema_1_is_refused_by_name() {
    let schema_1 = json!({ "schemaVersion": 1, "name": "a/b", "fsLayers": [], "history": [] });
    let signed = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    let plain = "application/vnd.docker.distribution.manifest.v1+json";
    for content_type in [None, Some(signed), Some(plain), Some(DOCKER_MANIFEST)] {
        assert_eq!(
            refuse(&schema_1.to_string(), content_type),
            ManifestError::Schema1
        );
    }
    let disguised = with(image(), [("fsLayers", Some(json!([])))]);
    assert_eq!(refusal(&disguised), ManifestError::Schema1);
    assert_eq!(
        refusal(&with(image(), [("schemaVersion", Some(json!(1)))])).to_string(),
        "manifests of Docker schema 1 are not supported: push the image as an OCI image or as \
         Docker schema 2"
    );
}

#[test]
fn the_schema_version_is_the_number_2() {
    let say = |version| refusal(&with(image(), [("schemaVersion", version)])).to_string();
    assert_eq!(say(None), "the manifest has no `schemaVersion`");
    assert_eq!(
        say(Some(json!(3))),
        "`schemaVersion` of the manifest is wrong: 2 is expected, not 3"
    );
    for wrong in [json!("2"), json!(2.0), json!(-2), json!([2])] {
        let message = say(Some(wrong));
        assert!(message.contains("a whole number is expected"), "{message}");
    }
}

#[test]
fn a_type_that_is_not_taken_is_refused_with_those_that_are() {
    let config = "application/vnd.oci.image.config.v1+json";
    let untyped = with(image(), [("mediaType", None)]).to_string();
    for error in [
        refuse(&untyped, Some(config)),
        refusal(&with(image(), [("mediaType", Some(json!(config)))])),
    ] {
        assert_eq!(
            error,
            ManifestError::UnsupportedMediaType {
                given: config.to_owned()
            }
        );
        for known in MediaType::MANIFESTS {
            assert!(error.to_string().contains(known.as_str()), "{error}");
        }
    }
    assert!(matches!(
        refuse(&untyped, Some("application/json")),
        ManifestError::UnsupportedMediaType { .. }
    ));
    assert_eq!(
        refusal(&json!({ "schemaVersion": 2 })),
        ManifestError::UnknownType
    );
}

#[test]
fn a_header_that_contradicts_the_document_is_refused() {
    for other in [DOCKER_MANIFEST, OCI_INDEX, "application/json"] {
        let error = refuse(&image().to_string(), Some(other));
        assert_eq!(
            error.to_string(),
            format!(
                "the `Content-Type` is `{other}`, but the manifest says that it is `{OCI_MANIFEST}`"
            )
        );
    }
}

#[test]
fn a_document_that_is_an_image_and_an_index_is_refused() {
    for field in [
        json!([descriptor(OCI_MANIFEST, 'a')]),
        json!([]),
        Value::Null,
    ] {
        let error = refusal(&with(image(), [("manifests", Some(field))]));
        assert!(matches!(
            error,
            ManifestError::Ambiguous {
                field: "manifests",
                ..
            }
        ));
    }
    for (name, field) in [("config", descriptor("a/b", 'c')), ("layers", json!([]))] {
        for media_type in [Some(json!(OCI_INDEX)), None] {
            let both = with(
                index(),
                [(name, Some(field.clone())), ("mediaType", media_type)],
            );
            assert!(
                matches!(refusal(&both), ManifestError::Ambiguous { .. }),
                "{both}"
            );
        }
    }
    assert_eq!(
        refusal(&with(index(), [("layers", Some(json!([])))])).to_string(),
        format!("a manifest of type `{OCI_INDEX}` must not have the field `layers`")
    );
}

#[test]
fn an_image_has_a_configuration_and_an_index_has_manifests() {
    for config in [None, Some(Value::Null)] {
        let error = refusal(&with(image(), [("config", config)]));
        assert_eq!(error.to_string(), "the manifest has no `config`");
    }
    let error = refusal(&with(index(), [("manifests", None)]));
    assert_eq!(error.to_string(), "the manifest has no `manifests`");
}

#[test]
fn a_known_field_is_there_once() {
    let config = descriptor("a/b", 'c').to_string();
    let head = format!(r#""schemaVersion":2,"mediaType":"{OCI_MANIFEST}""#);
    let twice = format!(r#"{{{head},"config":{config},"layers":[],"layers":[]}}"#);
    assert_eq!(
        refuse(&twice, None),
        ManifestError::Repeated {
            path: "layers".to_owned()
        }
    );
    let escaped = format!(r#"{{{head},"config":{config},"layers":[],"l\u0061yers":[]}}"#);
    assert_eq!(
        refuse(&escaped, None),
        ManifestError::Repeated {
            path: "layers".to_owned()
        }
    );
    let (one, other) = (digest('1'), digest('2'));
    let inside = format!(
        r#"{{{head},"config":{{"mediaType":"a/b","digest":"{one}","size":1,"digest":"{other}"}}}}"#
    );
    let error = refuse(&inside, None);
    assert_eq!(
        error,
        ManifestError::Repeated {
            path: "config.digest".to_owned()
        }
    );
    assert_eq!(
        error.to_string(),
        "the manifest gives `config.digest` more than once"
    );
}

#[test]
fn a_spelling_that_some_clients_read_is_refused() {
    for spelling in ["Layers", "LAYERS", "layer\u{17f}"] {
        let error = refusal(&with(image(), [(spelling, Some(json!([])))]));
        let given = spelling.to_owned();
        assert_eq!(
            error,
            ManifestError::Misspelled {
                path: "layers".to_owned(),
                given
            }
        );
    }
    assert_eq!(
        layer_refusal("Digest", Some(json!(digest('9')))),
        "the manifest spells `layers[0].digest` as `Digest`, which some clients read and some do \
         not"
    );
}

#[test]
fn a_wrong_field_is_named_with_its_place_and_what_is_expected() {
    let wrong = "of the manifest is wrong:";
    for (name, field, message) in [
        (
            "mediaType",
            None,
            "the manifest has no `layers[0].mediaType`".to_owned(),
        ),
        (
            "mediaType",
            Some(json!("")),
            "the manifest has no `layers[0].mediaType`".to_owned(),
        ),
        (
            "mediaType",
            Some(json!("tar")),
            format!(
                "`layers[0].mediaType` {wrong} `tar` is no media type: `<type>/<subtype>` is \
                 expected"
            ),
        ),
        (
            "digest",
            None,
            "the manifest has no `layers[0].digest`".to_owned(),
        ),
        (
            "digest",
            Some(json!("sha256:../..")),
            format!("`layers[0].digest` {wrong} a sha256 digest has 64 hex digits, not 5"),
        ),
        (
            "digest",
            Some(json!(7)),
            format!("`layers[0].digest` {wrong} a string is expected"),
        ),
        (
            "size",
            None,
            "the manifest has no `layers[0].size`".to_owned(),
        ),
        (
            "urls",
            Some(json!({})),
            format!("`layers[0].urls` {wrong} a list is expected"),
        ),
        (
            "urls",
            Some(json!([1])),
            format!("`layers[0].urls` {wrong} a string is expected"),
        ),
        (
            "data",
            Some(json!([])),
            format!("`layers[0].data` {wrong} a string is expected"),
        ),
        (
            "platform",
            Some(json!([])),
            format!("`layers[0].platform` {wrong} an object is expected"),
        ),
        (
            "platform",
            Some(json!({ "os": 1 })),
            format!("`layers[0].platform.os` {wrong} a string is expected"),
        ),
        (
            "annotations",
            Some(json!({ "a": 1 })),
            format!(
                "`layers[0].annotations` {wrong} an object whose values are strings is expected"
            ),
        ),
    ] {
        assert_eq!(layer_refusal(name, field), message);
    }
}

#[test]
fn a_size_is_a_whole_number_of_63_bits() {
    for size in [
        json!(-1),
        json!(1.5),
        json!(1e3),
        json!("1"),
        json!(9_223_372_036_854_775_808_u64),
    ] {
        assert_eq!(
            layer_refusal("size", Some(size)),
            "`layers[0].size` of the manifest is wrong: a whole number is expected, not negative \
             and less than 2^63"
        );
    }
}

#[test]
fn lists_and_objects_are_not_taken_for_each_other() {
    for (name, field) in [
        ("layers", json!({})),
        ("layers", json!([[]])),
        ("layers", json!([null])),
        ("config", json!([])),
        ("config", json!("x")),
        ("subject", json!([])),
        ("annotations", json!([])),
        ("artifactType", json!({})),
        ("mediaType", json!({})),
    ] {
        let error = refusal(&with(image(), [(name, Some(field))]));
        assert!(
            matches!(&error, ManifestError::Invalid { path, .. } if path.starts_with(name)),
            "{error}"
        );
    }
}

#[test]
fn a_message_repeats_no_more_than_a_line_of_what_was_sent() {
    let long = format!("{}\n\u{1b}[2J", "x".repeat(100_000));
    for error in [
        refusal(&with(image(), [("mediaType", Some(json!(long)))])),
        refuse(&image().to_string(), Some(&long)),
        refusal(&with(image(), [("artifactType", Some(json!(long)))])),
        refusal(&with(
            image(),
            [(
                "config",
                Some(with(
                    descriptor("a/b", '1'),
                    [("digest", Some(json!(long)))],
                )),
            )],
        )),
    ] {
        let message = error.to_string();
        assert!(
            message.len() < 600 && !message.contains(char::is_control),
            "{message}"
        );
    }
}
