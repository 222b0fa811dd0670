//! Who logs in, and who gets to see it.

use landfall_transfer::Login;

use crate::{
    fake::{Asked, Fake, Reply},
    images::{Image, digest},
    world::{assert_says, fail, request, succeed},
};

const BASIC: &str = "Basic YW5uYTpzZWNyZXQ=";

fn authorization(asked: &Asked) -> &str {
    asked
        .headers
        .get("authorization")
        .map_or("", String::as_str)
}

/// Wants a token of its own token service, which wants a password.
fn with_tokens(asked: &Asked) -> Option<Reply> {
    let host = &asked.headers["host"];
    if asked.path == "/token" {
        return Some(if authorization(asked) == BASIC {
            let scope = asked.query.replace("%3A", ".").replace("%2F", ".");
            Reply::new(200).body(format!(r#"{{"token":"for {scope}","expires_in":60}}"#))
        } else {
            Reply::new(401)
        });
    }
    let scope = asked
        .path
        .trim_start_matches("/v2/")
        .split("/blobs/")
        .next()?;
    let scope = scope.split("/manifests/").next()?.replace('/', ".");
    let is_allowed = authorization(asked).starts_with("Bearer for ")
        && authorization(asked).contains(&format!("repository.{scope}."));
    (!is_allowed).then(|| {
        let challenge = format!(r#"Bearer realm="http://{host}/token",service="fake""#);
        Reply::new(401).with("WWW-Authenticate", challenge)
    })
}

#[tokio::test]
async fn a_token_is_fetched_for_the_scope_and_kept() {
    let image = Image::new(1);
    let (source, destination) = (Fake::lying(with_tokens).await, Fake::start().await);
    image.put(&mut source.shelf(), "team/web", Some("1"));
    let mut wanted = request(
        &source.place("team/web:1"),
        &destination.place("acme/web:1"),
    );
    wanted.source_access.login = Some(Login::new("anna", "secret"));
    succeed(wanted).await;
    assert!(image.is_in(&destination.shelf(), "acme/web", "1"));
    assert_eq!(source.count("GET", "/token"), 1);
    let shelf = source.shelf();
    let token = shelf.asked.iter().find(|asked| asked.path == "/token");
    let query = &token.expect("asked for").query;
    assert_says(
        query,
        &[
            "service=fake",
            "account=anna",
            "repository%3Ateam%2Fweb%3Apull",
        ],
    );
}

#[tokio::test]
async fn a_wrong_password_and_none_are_told_apart() {
    let (source, destination) = (Fake::lying(with_tokens).await, Fake::start().await);
    let mut wanted = request(
        &source.place("team/web:1"),
        &destination.place("acme/web:1"),
    );
    assert_says(
        &fail(wanted.clone()).await,
        &["asks for a login", "`--src-creds`"],
    );
    wanted.source_access.login = Some(Login::new("bert", "wrong"));
    let error = fail(wanted).await;
    assert_says(&error, &["does not accept the login of `bert`"]);
    assert!(!error.contains("wrong"), "the password is told: {error}");
}

#[tokio::test]
async fn a_password_is_sent_where_no_token_is_wanted() {
    let image = Image::new(1);
    let destination = Fake::lying(|asked| {
        (authorization(asked) != BASIC)
            .then(|| Reply::new(401).with("WWW-Authenticate", "Basic realm=\"x\""))
    })
    .await;
    let source = Fake::start().await;
    image.put(&mut source.shelf(), "team/web", Some("1"));
    let mut wanted = request(
        &source.place("team/web:1"),
        &destination.place("acme/web:1"),
    );
    wanted.destination_access.login = Some(Login::new("anna", "secret"));
    succeed(wanted).await;
    assert!(image.is_in(&destination.shelf(), "acme/web", "1"));
    assert!(
        source
            .shelf()
            .asked
            .iter()
            .all(|asked| authorization(asked).is_empty())
    );
}

#[tokio::test]
async fn a_redirect_to_another_host_sees_no_token() {
    let image = Image::new(1);
    let store = Fake::start().await;
    image.put(&mut store.shelf(), "elsewhere", None);
    let there = store.host.clone();
    let source = Fake::lying(move |asked| {
        with_tokens(asked).or_else(|| {
            let (_, digest) = asked.path.split_once("/blobs/")?;
            let target = format!("http://{there}/v2/elsewhere/blobs/{digest}?signed=yes");
            Some(Reply::new(307).with("Location", target))
        })
    })
    .await;
    let destination = Fake::start().await;
    image.put(&mut source.shelf(), "team/web", Some("1"));
    let mut wanted = request(
        &source.place("team/web:1"),
        &destination.place("acme/web:1"),
    );
    wanted.source_access.login = Some(Login::new("anna", "secret"));
    succeed(wanted).await;
    let shelf = store.shelf();
    assert!(
        shelf
            .asked
            .iter()
            .any(|asked| asked.path.ends_with(&digest(&image.layers[0])))
    );
    assert!(
        shelf
            .asked
            .iter()
            .all(|asked| authorization(asked).is_empty())
    );
}

/// A server that wants to be sent the password of another one.
async fn greedy() -> Fake {
    Fake::lying(|asked| {
        let host = &asked.headers["host"];
        Some(if asked.path == "/token" {
            Reply::new(200).body(r#"{"token":"taken"}"#)
        } else {
            let challenge = format!(r#"Bearer realm="http://{host}/token",service="greedy""#);
            Reply::new(401).with("WWW-Authenticate", challenge)
        })
    })
    .await
}

/// Copies between two registries with a password for both, one of which leads
/// to a greedy server.
async fn lead_astray(
    from: impl Fn(&Asked) -> bool + Send + Sync + 'static,
    layer: Vec<u8>,
) -> Vec<Asked> {
    let image = Image::of(vec![layer], "amd64");
    let greedy = greedy().await;
    let there = greedy.host.clone();
    let lie = move |asked: &Asked| {
        if asked.path == "/token" {
            return with_tokens(asked);
        }
        let target = format!("http://{there}{}", asked.path);
        let status = if asked.method == "POST" { 202 } else { 307 };
        from(asked).then(|| Reply::new(status).with("Location", target))
    };
    let lie = std::sync::Arc::new(lie);
    let same = std::sync::Arc::clone(&lie);
    let source = Fake::lying(move |asked| {
        let is_upload = asked.method == "POST" || asked.method == "HEAD";
        (!is_upload).then(|| lie(asked)).flatten()
    })
    .await;
    let destination = Fake::lying(move |asked| same(asked)).await;
    image.put(&mut source.shelf(), "team/web", Some("1"));
    let mut wanted = request(
        &source.place("team/web:1"),
        &destination.place("acme/web:1"),
    );
    wanted.source_access.login = Some(Login::new("anna", "secret"));
    wanted.destination_access.login = Some(Login::new("anna", "secret"));
    let error = fail(wanted).await;
    assert_says(&error, &[&greedy.host, "asks for a login"]);
    greedy.shelf().asked.clone()
}

#[tokio::test]
async fn another_host_that_asks_for_a_login_is_refused_and_sees_none() {
    let small = || b"small".to_vec();
    let ways = [
        (
            "GET",
            lead_astray(|asked| asked.path == "/v2/", small()).await,
        ),
        (
            "GET",
            lead_astray(|asked| asked.is("GET", "/blobs/sha256"), small()).await,
        ),
        (
            "HEAD",
            lead_astray(|asked| asked.is("HEAD", "/blobs/sha256"), small()).await,
        ),
        (
            "PUT",
            lead_astray(|asked| asked.is("POST", "/blobs/uploads/"), small()).await,
        ),
        // An upload in parts asks for its offset.
        (
            "GET",
            lead_astray(
                |asked| asked.is("POST", "/blobs/uploads/"),
                crate::images::noise(7, crate::images::BIG),
            )
            .await,
        ),
    ];
    for (method, asked) in ways {
        assert!(
            asked.iter().any(|asked| asked.method == method),
            "no {method}: {asked:?}"
        );
        for asked in asked {
            assert_eq!(authorization(&asked), "", "{} {}", asked.method, asked.path);
            assert_ne!(asked.path, "/token");
        }
    }
}
