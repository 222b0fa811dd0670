//! Accounts, repositories, tags, references, and what a command line names.

use landfall_oci::{
    AccountName, Digest, ImageReference, InvalidImageReference, InvalidName, InvalidReference,
    Reference, RepositoryName, Tag,
};
use proptest::{collection::vec, prelude::*};

const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// The grammar of the specification, as proptest generates it.
const COMPONENT: &str = "[a-z0-9]{1,6}((\\.|_|__|-{1,3})[a-z0-9]{1,6}){0,2}";
const TAG: &str = "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}";

fn name(text: &str) -> Result<RepositoryName, InvalidName> {
    text.parse()
}

#[test]
fn a_repository_belongs_to_the_account_of_its_first_component() {
    let repository = name("admin/tools/build__x--y.z").expect("a name");
    assert_eq!(repository.account(), "admin".parse().expect("an account"));
    assert_eq!(repository.path(), "tools/build__x--y.z");
    assert_eq!(repository.to_string(), "admin/tools/build__x--y.z");
}

#[test]
fn a_name_without_an_account_says_the_right_form() {
    let error = name("ubuntu").expect_err("no account");
    assert_eq!(
        error,
        InvalidName::MissingAccount {
            given: "ubuntu".to_owned()
        }
    );
    assert_eq!(
        error.to_string(),
        "`ubuntu` names no account: use `<account>/<repository>`, as in `admin/ubuntu`"
    );
}

#[test]
fn every_trick_with_a_path_is_refused_as_a_wrong_component() {
    for text in [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        "a/.",
        "a/..",
        "../a/b",
        "a/../b",
        "a/.b",
        "a/b.",
        "a/b..c",
        "a/b___c",
        "a/b_.c",
        "a/b-_c",
        "a/-b",
        "a/b-",
        "A/b",
        "a/B",
        "a/b c",
        "a/b\0",
        "a/b\n",
        "a\\b/c",
        "a/b%2fc",
        "a/ä",
        "a/b:c",
        "a/b@c",
        "a/~b",
        "a/ b",
        "a/\u{202e}b",
    ] {
        assert!(
            matches!(name(text), Err(InvalidName::Component { .. })),
            "{text:?} gave {:?}",
            name(text)
        );
    }
}

#[test]
fn a_name_has_at_most_255_bytes() {
    let longest = format!("a/{}", "b".repeat(253));
    assert_eq!(name(&longest).expect("a name").as_str(), longest);
    assert_eq!(
        name(&format!("{longest}b")),
        Err(InvalidName::TooLong { length: 256 })
    );
}

#[test]
fn an_account_is_one_component() {
    assert!("team-1".parse::<AccountName>().is_ok());
    assert!("team/1".parse::<AccountName>().is_err());
    assert!("".parse::<AccountName>().is_err());
}

#[test]
fn a_tag_has_at_most_128_characters_of_the_few() {
    for text in ["latest", "_", "V1.2-rc_3", &"x".repeat(128)] {
        assert_eq!(text.parse::<Tag>().expect(text).as_str(), text);
    }
    for text in ["", ".a", "-a", "a/b", "a b", "ä", "a+b", &"x".repeat(129)] {
        assert!(text.parse::<Tag>().is_err(), "{text}");
    }
}

#[test]
fn a_colon_makes_a_reference_a_digest() {
    assert_eq!(
        DIGEST.parse(),
        Ok(Reference::Digest(DIGEST.parse().expect("a digest")))
    );
    assert_eq!(
        "sha256".parse(),
        Ok(Reference::Tag("sha256".parse().expect("a tag")))
    );
    let refusal = |text: &str| text.parse::<Reference>().expect_err(text);
    assert!(matches!(refusal("md5:00"), InvalidReference::Digest(_)));
    assert!(matches!(refusal("a/b"), InvalidReference::Tag(_)));
}

#[test]
fn an_image_is_taken_apart_as_container_clients_do() {
    let with_digest = format!("localhost/a/b:1@{DIGEST}");
    for (text, host, repository, tag) in [
        ("a/b", None, "a/b", None),
        ("a/b:1", None, "a/b", Some("1")),
        ("a/b/c:1", None, "a/b/c", Some("1")),
        ("localhost/a/b", Some("localhost"), "a/b", None),
        (
            "localhost:5000/a/b:1",
            Some("localhost:5000"),
            "a/b",
            Some("1"),
        ),
        ("r.example/a/b", Some("r.example"), "a/b", None),
        ("127.0.0.1:80/a/b:1", Some("127.0.0.1:80"), "a/b", Some("1")),
        ("[::1]:5000/a/b:1", Some("[::1]:5000"), "a/b", Some("1")),
        (&with_digest, Some("localhost"), "a/b", Some("1")),
    ] {
        let image: ImageReference = text.parse().expect(text);
        assert_eq!(image.host.as_deref(), host, "{text}");
        assert_eq!(image.repository.as_str(), repository, "{text}");
        assert_eq!(image.tag.as_ref().map(Tag::as_str), tag, "{text}");
        assert_eq!(image.digest.is_some(), text.contains('@'), "{text}");
        assert_eq!(image.to_string(), text);
    }
}

#[test]
fn a_wrong_image_says_which_part_is_wrong() {
    let refusal = |text: &str| text.parse::<ImageReference>().expect_err(text);
    for text in [
        "a..b/c/d",
        "host:0/a/b",
        "host:x/a/b",
        "host:70000/a/b",
        "[::z]/a/b",
        "-a.b/c/d",
    ] {
        assert!(
            matches!(refusal(text), InvalidImageReference::Host { .. }),
            "{text}"
        );
    }
    for text in [
        "ubuntu",
        "ubuntu:24.04",
        "localhost:5000/ubuntu",
        "localhost:5000",
    ] {
        let error = refusal(text);
        assert!(
            matches!(
                error,
                InvalidImageReference::Name(InvalidName::MissingAccount { .. })
            ),
            "{text}: {error}"
        );
    }
    assert!(matches!(refusal("a/b:"), InvalidImageReference::Tag(_)));
    assert!(matches!(
        refusal("a/b@sha256:0"),
        InvalidImageReference::Digest(_)
    ));
    assert!(matches!(
        refusal(&format!("a/b@{DIGEST}@{DIGEST}")),
        InvalidImageReference::Digest(_)
    ));
}

#[test]
fn a_digest_wins_over_a_tag_and_latest_stands_for_neither() {
    let ask = |text: &str| {
        text.parse::<ImageReference>()
            .expect(text)
            .reference()
            .to_string()
    };
    assert_eq!(ask("a/b"), "latest");
    assert_eq!(ask("a/b:1"), "1");
    assert_eq!(ask(&format!("a/b:1@{DIGEST}")), DIGEST);
}

proptest! {
    #[test]
    fn every_name_of_the_grammar_is_taken(account in COMPONENT, path in vec(COMPONENT, 1..4)) {
        let path = path.join("/");
        let text = format!("{account}/{path}");
        let repository = name(&text).expect("a name");
        let parts = (repository.account().to_string(), repository.path().to_owned());
        prop_assert_eq!(parts, (account, path));
        let json = serde_json::to_string(&repository).expect("a string");
        prop_assert_eq!(serde_json::from_str::<RepositoryName>(&json).expect("a name"), repository);
    }

    #[test]
    fn a_name_holds_nothing_but_its_grammar(text in "([a-z0-9A-Z._/-]{0,8}/?){0,3}|.*") {
        if let Ok(repository) = name(&text) {
            prop_assert_eq!(repository.as_str(), text.as_str());
            prop_assert!(text.len() <= 255 && text.contains('/'));
            for part in text.split('/') {
                let edges = [part.bytes().next(), part.bytes().last()];
                prop_assert!(edges.iter().all(|b| b.is_some_and(|b| b.is_ascii_alphanumeric())));
            }
            prop_assert!(!text.contains("..") && !text.contains("___"));
            prop_assert!(!text.bytes().any(|b| b.is_ascii_uppercase()));
        }
    }

    #[test]
    fn every_tag_and_digest_is_a_reference_that_prints_as_it_was(tag in TAG, bytes: [u8; 32]) {
        prop_assert_eq!(tag.parse::<Reference>().expect("a tag").to_string(), tag);
        let digest = Digest::from_bytes(landfall_oci::Algorithm::Sha256, &bytes).expect("32 bytes");
        prop_assert_eq!(digest.to_string().parse::<Reference>(), Ok(digest.into()));
    }

    #[test]
    fn every_image_prints_as_it_was(
        host in "((localhost|[a-z]{1,5}\\.[a-z]{1,5}|\\[::1\\])(:[1-9][0-9]{0,3})?/)?",
        account in "[a-z0-9]{1,6}(_[a-z0-9]{1,6})?",
        path in COMPONENT,
        tag in proptest::option::of(TAG),
        has_digest: bool,
    ) {
        prop_assume!(account != "localhost");
        let mut text = format!("{host}{account}/{path}");
        text.extend(tag.into_iter().flat_map(|tag| [":".to_owned(), tag]));
        if has_digest {
            text.push('@');
            text.push_str(DIGEST);
        }
        let image: ImageReference = text.parse().expect("an image");
        prop_assert_eq!(image.host.is_some(), !host.is_empty());
        prop_assert_eq!(image.to_string(), text);
    }
}
