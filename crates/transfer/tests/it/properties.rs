//! What people write is read, or refused with a sentence.

use landfall_transfer::{InvalidPlace, Names, Pattern, Place, WantedPlatform};
use proptest::prelude::*;

/// Whether a pattern fits, slowly and obviously.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            fits(rest, name)
                || name
                    .split_first()
                    .is_some_and(|(_, name)| fits(pattern, name))
        }
        ([letter, pattern @ ..], [first, name @ ..]) if *letter == b'?' || letter == first => {
            fits(pattern, name)
        }
        _ => false,
    }
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(text in ".{0,300}") {
        for form in ["", "docker://", "docker://a.b/", "oci:", "dir:", "docker-archive:"] {
            let _ = format!("{form}{text}").parse::<Place>();
        }
        let _ = text.parse::<Pattern>();
        let _ = text.parse::<WantedPlatform>();
    }

    #[test]
    fn a_refusal_is_one_line(text in "\\PC{0,40}[\\n\\r\\t]?\\PC{0,300}") {
        if let Err(error) = text.parse::<Place>() {
            let error = error.to_string();
            prop_assert!(!error.contains(['\n', '\r', '\t']) && !error.ends_with('.'), "{error}");
            prop_assert!(error.len() < 2000);
        }
    }

    #[test]
    fn patterns_fit_as_the_obvious_algorithm_says(
        pattern in "[ab*?/]{1,12}",
        name in "[ab/]{0,14}",
    ) {
        let parsed: Pattern = pattern.parse().expect("a pattern");
        prop_assert_eq!(parsed.matches(&name), fits(pattern.as_bytes(), name.as_bytes()));
        let is_kept = !parsed.matches(&name) || name.starts_with(parsed.folder());
        prop_assert!(is_kept, "a name that fits does not begin with what is cut off");
    }

    #[test]
    fn a_repository_at_a_host_is_read_back(
        host in "[a-z]{1,8}\\.[a-z]{2,5}(:[1-9][0-9]{0,3})?",
        name in "[a-z0-9]{1,8}(/[a-z0-9]{1,8}){0,3}",
        tag in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}",
    ) {
        prop_assume!(host != "docker.io");
        let place: Place = format!("docker://{host}/{name}:{tag}").parse().expect("a place");
        let Place::Registry(place) = place else { panic!("no registry") };
        prop_assert_eq!(place.host.as_deref(), Some(host.as_str()));
        prop_assert_eq!(place.names, Names::One(name.parse().expect("a name")));
        prop_assert_eq!(place.tag.map(|tag| tag.to_string()), Some(tag));
    }
}

#[test]
fn a_pattern_full_of_stars_is_quick() {
    let pattern: Pattern = format!("{}c", "a*".repeat(100)).parse().expect("a pattern");
    let begun = std::time::Instant::now();
    assert!(!pattern.matches(&format!("{}b", "a".repeat(250))));
    assert!(begun.elapsed().as_millis() < 500);
}

#[test]
fn places_are_read_as_the_table_says() {
    let registry = |text: &str| match text.parse() {
        Ok(Place::Registry(place)) => place,
        other => panic!("{text}: {other:?}"),
    };
    let hub = registry("docker://debian:12");
    assert_eq!(hub.host.as_deref(), Some("docker.io"));
    assert_eq!(
        hub.names,
        Names::One("library/debian".parse().expect("a name"))
    );
    let home = registry("acme/web:1");
    assert_eq!(
        (home.host, home.tag.map(|tag| tag.to_string())),
        (None, Some("1".to_owned()))
    );
    assert_eq!(registry("acme/").names, Names::Below("acme/".to_owned()));
    assert_eq!(
        registry("docker://localhost:5000/").names,
        Names::Below(String::new())
    );
    assert!(matches!(
        registry("docker://[::1]:5000/a*").names,
        Names::Matching(_)
    ));
    let layout = Place::Layout {
        path: "a/b".into(),
        name: Some("docker.io/library/x:1".to_owned()),
    };
    assert_eq!("oci:a/b:docker.io/library/x:1".parse(), Ok(layout));
    for (text, part) in [
        ("registry.example/a/b", "docker://registry.example/a/b"),
        ("docker://registry.example", "no repository is named"),
        ("docker-daemon:x", "no place"),
        ("http://a/b", "no place"),
        ("./a/b", "no place"),
        ("oci:", "has no path"),
        ("dir:", "has no path"),
        ("docker://a.b/c/*:1", "take no tag"),
        ("docker://a.b/C", "no part of a name"),
        ("docker://-a.b/c", "no host"),
        ("acme/web@sha256:1", "hex digits"),
    ] {
        let error: InvalidPlace = text.parse::<Place>().expect_err(text);
        assert!(error.to_string().contains(part), "{text}: {error}");
    }
}
