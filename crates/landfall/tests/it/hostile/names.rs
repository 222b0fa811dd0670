//! Names and digests with tricks in them.

use super::{
    Victim, entries,
    raw::{exchange, head, request},
};
use crate::session::{Image, digest};

/// Parts of a path that want to be somewhere else.
const TRICKS: [&str; 24] = [
    "..",
    ".",
    "../..",
    "../../../../etc/passwd",
    "%2e%2e",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..%2f..%2f..",
    "%252e%252e%252f",
    "..%5c..%5cwindows",
    "..\\..\\",
    "%00",
    "web%00.txt",
    "%ff%fe",
    "%c0%ae%c0%ae%c0%af",
    "%",
    "%zz",
    "%0d%0aSet-Cookie:%20a=b",
    "~admin",
    "$HOME",
    "web;rm",
    "'or'1'='1",
    "WEB",
    "-web",
    "web.",
];

/// Digests that are none.
const NO_DIGESTS: [&str; 12] = [
    "sha256:",
    "sha256:..",
    "sha256:../../../../etc/passwd",
    "sha256:%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "sha256/00",
    "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8555",
    "sha256:g3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "sha512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "md5:d41d8cd98f00b204e9800998ecf8427e",
    "sha256%253Ae3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
];

/// Sends a request to a target as it stands, and expects a refusal.
fn assert_refused(victim: &Victim, method: &str, target: &str) {
    let answer = exchange(&victim.server, &request(method, target, &[], b""));
    let status = answer.map_or(400, |answer| answer.status);
    assert!(
        (400..500).contains(&status),
        "{method} {target} is answered with {status}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn names_with_path_tricks_are_refused_everywhere() {
    let victim = Victim::start();
    let before = entries(&victim.server.data);
    let blob = digest(b"blob");
    let long = format!("acme/{}", "a".repeat(300));
    let names = TRICKS.iter().flat_map(|trick| {
        [
            format!("acme/{trick}"),
            format!("{trick}/web"),
            format!("acme/{trick}/web"),
        ]
    });
    for name in names.chain([
        String::new(),
        "acme".to_owned(),
        "acme//web".to_owned(),
        long,
    ]) {
        for (method, target) in [
            ("GET", format!("/v2/{name}/tags/list")),
            ("GET", format!("/v2/{name}/manifests/v1")),
            ("PUT", format!("/v2/{name}/manifests/v1")),
            ("GET", format!("/v2/{name}/blobs/{blob}")),
            ("POST", format!("/v2/{name}/blobs/uploads/")),
            ("GET", format!("/v2/{name}/referrers/{blob}")),
        ] {
            // `.` and `..` at the end of an API path are no names at all.
            assert_refused(&victim, method, &target);
        }
    }
    for trick in TRICKS {
        let whole = format!("/api/v1/repositories/acme%2F{trick}");
        assert_refused(&victim, "GET", &whole);
        assert_refused(&victim, "DELETE", &whole);
        assert_refused(
            &victim,
            "GET",
            &format!("/api/v1/repositories/{trick}/images"),
        );
        assert_refused(&victim, "GET", &format!("/{trick}"));
    }
    let catalog = victim.session.json("/v2/_catalog").await;
    assert_eq!(
        catalog["repositories"],
        serde_json::json!([]),
        "a trick made a repository"
    );
    assert_eq!(entries(&victim.server.data), before, "a trick made a file");
    victim.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn digests_tags_and_uploads_with_tricks_are_refused() {
    let victim = Victim::start();
    let image = Image::new(1, 2);
    victim.session.push("acme/web", "v1", &image).await;
    for wrong in NO_DIGESTS {
        for (method, target) in [
            ("GET", format!("/v2/acme/web/blobs/{wrong}")),
            ("DELETE", format!("/v2/acme/web/blobs/{wrong}")),
            ("GET", format!("/v2/acme/web/manifests/{wrong}")),
            ("PUT", format!("/v2/acme/web/manifests/{wrong}")),
            ("GET", format!("/v2/acme/web/referrers/{wrong}")),
            (
                "POST",
                format!("/v2/acme/web/blobs/uploads/?digest={wrong}"),
            ),
            (
                "POST",
                format!("/v2/acme/web/blobs/uploads/?mount={wrong}&from=acme/web"),
            ),
        ] {
            assert_refused(&victim, method, &target);
        }
    }
    for trick in TRICKS {
        assert_refused(
            &victim,
            "GET",
            &format!("/v2/acme/web/blobs/uploads/{trick}"),
        );
        assert_refused(
            &victim,
            "PATCH",
            &format!("/v2/acme/web/blobs/uploads/{trick}"),
        );
        assert_refused(&victim, "DELETE", &format!("/v2/acme/web/blobs/{trick}"));
        if trick == "WEB" || trick == "web." {
            continue;
        }
        assert_refused(&victim, "PUT", &format!("/v2/acme/web/manifests/{trick}"));
        assert_refused(
            &victim,
            "DELETE",
            &format!("/v2/acme/web/manifests/{trick}"),
        );
    }
    // A source of a mount that is none is no mount: an upload begins.
    let there = digest(&image.layers[0]);
    let target = format!("/v2/acme/other/blobs/uploads/?mount={there}&from=../../acme/web");
    let answer = exchange(&victim.server, &request("POST", &target, &[], b""));
    assert_eq!(answer.map(|answer| answer.status), Some(202));
    victim.session.assert_pulls("acme/web", "v1", &image).await;
    victim.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_and_targets_with_tricks_do_not_end_up_in_answers() {
    let victim = Victim::start();
    for host in [
        "evil\",error=\"x",
        "evil\" realm=\"http://evil",
        "evil/../path",
        "user:password@evil",
        "[::1",
        "a b",
        "",
        "evil:99999999",
    ] {
        let bytes = format!("GET /v2/ HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let Some(answer) = exchange(&victim.server, bytes.as_bytes()) else {
            continue;
        };
        assert!(
            [400, 401].contains(&answer.status),
            "{host}: {}",
            answer.status
        );
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        assert_eq!(
            challenge.matches("realm=").count(),
            challenge.len().min(1),
            "{challenge}"
        );
        assert_eq!(challenge.matches("error=").count(), 0, "{challenge}");
    }
    for target in [
        "http://evil.example/v2/",
        "//evil.example/v2/",
        "*",
        "v2/",
        "/v2/?a=%0d%0aX-Evil:1",
        "/v2/#fragment",
        "/%76%32/",
        "/v2/acme/web/tags/list?n=-1",
        "/v2/acme/web/tags/list?n=99999999999999999999",
        "/v2/acme/web/tags/list?last=../../..",
    ] {
        let answer = exchange(&victim.server, &head("GET", target, &[]));
        let status = answer.as_ref().map_or(400, |answer| answer.status);
        assert!(status < 500, "{target} is answered with {status}");
        assert!(
            answer.is_none_or(|answer| answer.header("x-evil").is_none()),
            "{target}"
        );
    }
    let long = format!("/v2/acme/{}/tags/list", "a".repeat(100_000));
    assert_refused(&victim, "GET", &long);
    let parameters = format!("/v2/acme/web/tags/list?{}", "n=1&".repeat(10_000));
    assert_refused(&victim, "GET", &parameters);
    victim.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nul_in_a_query_a_path_or_a_document_is_refused() {
    let victim = Victim::start();
    let image = Image::new(1, 2);
    victim.session.push("acme/web", "v1", &image).await;
    let subject = digest(&image.layers[0]);
    for target in [
        "/v2/_catalog?last=%00",
        "/v2/_catalog?last=a%00b",
        "/v2/acme/web/tags/list?last=%00",
        &format!("/v2/acme/web/referrers/{subject}?artifactType=%00"),
        &format!("/v2/acme/web/referrers/{subject}?last=%00"),
        "/token?scope=repository:acme/%00:pull",
        "/api/v1/repositories?last=%00",
        "/api/v1/repositories/acme%2Fweb/tags?last=%00",
        "/api/v1/repositories/acme%2Fweb/images?last=%00",
        "/api/v1/events?repository=%00",
        "/api/v1/webhooks/%00",
    ] {
        let answer = exchange(&victim.server, &request("GET", target, &[], b""));
        let status = answer.map(|answer| answer.status);
        assert_eq!(status, Some(400), "{target}");
    }
    let json = ["Content-Type: application/json"];
    let webhook = br#"{"account": "a\u0000", "url": "https://example.com/"}"#;
    let rules = br#"{"tag_rules": {"immutable": true, "except": ["a\u0000*"]}}"#;
    for (method, target, body) in [
        ("POST", "/api/v1/webhooks", &webhook[..]),
        ("PATCH", "/api/v1/repositories/acme%2Fweb", &rules[..]),
    ] {
        let answer = exchange(&victim.server, &request(method, target, &json, body));
        let status = answer.map(|answer| answer.status);
        assert!(
            status.is_some_and(|status| (400..500).contains(&status)),
            "{method} {target} is answered with {status:?}"
        );
    }
    victim.assert_well().await;
}
