//! JSON that is too long, too deep, too much, or not true.

use serde_json::{Value, json};

use super::{
    Victim,
    raw::{Answer, exchange, request},
};
use crate::session::{Image, MANIFEST, descriptor, digest, noise};

const TYPE: &str = "Content-Type: application/vnd.oci.image.manifest.v1+json";

fn put(victim: &Victim, reference: &str, bytes: &[u8]) -> Answer {
    let target = format!("/v2/acme/web/manifests/{reference}");
    exchange(&victim.server, &request("PUT", &target, &[TYPE], bytes)).expect("an answer")
}

/// A manifest of an image that is there, changed.
fn changed(image: &Image, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut manifest = serde_json::from_slice(&image.manifest).expect("JSON");
    change(&mut manifest);
    manifest.to_string().into_bytes()
}

fn nested(open: &str, close: &str, depth: usize) -> Vec<u8> {
    format!("{}{}", open.repeat(depth), close.repeat(depth)).into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_that_are_none_are_refused() {
    let victim = Victim::start();
    let image = Image::new(1, 2);
    victim.session.push("acme/web", "v1", &image).await;
    let deep = |open: &str, close: &str, depth| nested(open, close, depth);
    let inside = |what: Vec<u8>| {
        let text = String::from_utf8(image.manifest.clone()).expect("text");
        let what = String::from_utf8(what).expect("text");
        text.replacen('{', &format!("{{\"x\":{what},"), 1)
            .into_bytes()
    };
    let mut not_text = image.manifest.clone();
    not_text[20] = 0xff;
    let mut with_mark = b"\xef\xbb\xbf".to_vec();
    with_mark.extend(&image.manifest);
    let mut with_tail = image.manifest.clone();
    with_tail.extend(b"{}");
    let wrong: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("null", b"null".to_vec()),
        ("a text", b"\"manifest\"".to_vec()),
        ("an empty object", b"{}".to_vec()),
        ("arrays in arrays", deep("[", "]", 100_000)),
        ("objects in objects", deep("{\"a\":", "}", 100_000)),
        ("arrays that don't end", deep("[", "", 1_000_000)),
        ("depth inside", inside(deep("[", "]", 10_000))),
        ("no UTF-8", not_text),
        ("a byte order mark", with_mark),
        ("something behind it", with_tail),
        (
            "half of it",
            image.manifest[..image.manifest.len() / 2].to_vec(),
        ),
        (
            "two lists of layers",
            changed(&image, |_| ())
                .iter()
                .copied()
                .take_while(|b| *b != 0)
                .collect::<Vec<u8>>()
                .split_last()
                .map(|(_, rest)| [rest, b",\"layers\":[]}"].concat())
                .expect("not empty"),
        ),
        (
            "schema 1",
            changed(&image, |m| m["schemaVersion"] = json!(1)),
        ),
        (
            "another type inside",
            changed(&image, |m| m["mediaType"] = json!("text/html")),
        ),
        (
            "a negative size",
            changed(&image, |m| m["config"]["size"] = json!(-1)),
        ),
        (
            "a huge size",
            changed(&image, |m| m["config"]["size"] = json!(1e300)),
        ),
        (
            "a text as size",
            changed(&image, |m| m["config"]["size"] = json!("947")),
        ),
        (
            "no digest",
            changed(&image, |m| m["config"]["digest"] = json!("sha256:../..")),
        ),
        (
            "a number as layers",
            changed(&image, |m| m["layers"] = json!(7)),
        ),
        (
            "too many layers",
            changed(&image, |m| {
                m["layers"] = json!(vec![m["layers"][0].clone(); 20_000]);
            }),
        ),
    ];
    for (what, bytes) in wrong {
        let answer = put(&victim, "v2", &bytes);
        let told = (answer.status, answer.code());
        assert_eq!(told, (400, "MANIFEST_INVALID".to_owned()), "{what}");
    }
    let gone = victim.session.get("/v2/acme/web/manifests/v2").await;
    assert_eq!(gone.status(), 404);
    victim.session.assert_pulls("acme/web", "v1", &image).await;
    victim.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_up_to_the_limit_are_taken_and_longer_ones_are_not() {
    let victim = Victim::start();
    let image = Image::new(1, 2);
    victim.session.push("acme/web", "v1", &image).await;
    let padded = |size: usize| {
        let pad = size - image.manifest.len();
        let text: String = noise(9, pad)
            .iter()
            .map(|byte| char::from(b'a' + byte % 26))
            .collect();
        changed(&image, |manifest| {
            manifest["annotations"] = json!({ "pad": text });
        })
    };
    let four = padded(4 << 20);
    assert!(four.len() >= 4 << 20);
    let taken = put(&victim, "large", &four);
    assert_eq!(
        taken.status,
        201,
        "{}",
        String::from_utf8_lossy(&taken.body)
    );
    let pulled = victim.session.get("/v2/acme/web/manifests/large").await;
    assert_eq!(pulled.bytes().await.expect("a manifest"), four);
    for size in [9 << 20, 40 << 20] {
        let refused = put(&victim, "huge", &padded(size));
        assert_eq!(refused.status, 413, "{size} bytes");
    }
    victim.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_of_what_is_not_there_are_refused_and_name_it() {
    let victim = Victim::start();
    let image = Image::new(1, 2);
    victim.session.push_blob("acme/web", &image.layers[0]).await;
    // The others are there, but of another account.
    victim.session.push("other/web", "v1", &image).await;
    let refused = put(&victim, "v1", &image.manifest);
    assert_eq!(refused.status, 400);
    let body: Value = serde_json::from_slice(&refused.body).expect("JSON");
    let mut named: Vec<_> = body["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|error| {
            assert_eq!(error["code"], "MANIFEST_BLOB_UNKNOWN");
            error["detail"]["digest"]
                .as_str()
                .expect("a digest")
                .to_owned()
        })
        .collect();
    named.sort();
    let mut missing = [&image.layers[1], &image.config].map(|bytes| digest(bytes).to_string());
    missing.sort();
    assert_eq!(named, missing);
    let index = json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [descriptor(MANIFEST, b"not there")] });
    let target = "/v2/acme/web/manifests/index";
    let kind = "Content-Type: application/vnd.oci.image.index.v1+json";
    let bytes = request("PUT", target, &[kind], index.to_string().as_bytes());
    let refused = exchange(&victim.server, &bytes).expect("an answer");
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "MANIFEST_BLOB_UNKNOWN")
    );
    // Under the digest of another manifest.
    let refused = put(&victim, &digest(b"other").to_string(), &image.manifest);
    assert_eq!(refused.status, 400);
    let catalog = victim.session.json("/v2/acme/web/tags/list").await;
    assert!(
        catalog["tags"].as_array().is_none_or(Vec::is_empty),
        "{catalog}"
    );
    victim.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_to_our_api_are_bounded_as_well() {
    let victim = Victim::start();
    let post = |path: &str, body: &[u8]| {
        let bytes = request("POST", path, &["Content-Type: application/json"], body);
        exchange(&victim.server, &bytes).map_or(400, |answer| answer.status)
    };
    let check = "/api/v1/repositories/acme%2Fweb/layers:check";
    for path in [
        "/api/v1/repositories",
        "/api/v1/gc/runs",
        "/api/v1/fsck/runs",
        check,
    ] {
        for body in [
            nested("[", "]", 100_000),
            nested("{\"a\":", "}", 100_000),
            nested("{\"name\":[", "]}", 50_000),
            nested("[", "", 500_000),
            b"\xff\xff".to_vec(),
            b"\"".to_vec(),
            noise(3, 10_000),
        ] {
            let status = post(path, &body);
            assert!(
                (400..500).contains(&status),
                "{path} is answered with {status}"
            );
        }
        assert_eq!(post(path, &vec![b' '; 10 << 20]), 413, "{path}");
    }
    let scopes = "scope=repository:acme/web:pull&".repeat(1000);
    let answer = exchange(
        &victim.server,
        &request("GET", &format!("/token?{scopes}"), &[], b""),
    );
    assert!(
        answer.expect("an answer").body.len() < 100_000,
        "the token is as long as the request"
    );
    let scope = "a".repeat(5000);
    let target = format!("/token?scope=repository:{scope}:pull");
    let answer = exchange(&victim.server, &request("GET", &target, &[], b""));
    assert_eq!(answer.map(|answer| answer.status), Some(400));
    victim.assert_well().await;
}
