//! Tokens that were made up, changed, or taken away. Each is answered as any
//! other wrong credential is; only the log says what was wrong.

use std::{fs, os::unix::fs::PermissionsExt};

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Victim, raw::exchange};
use crate::{
    server::{Options, Server},
    session::{Image, Session, segment},
};

/// A server whose signing key the test knows: it was put where an earlier
/// version has kept it.
struct Forge {
    victim: Victim,
    key: Ed25519KeyPair,
}

impl Forge {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("scratch directory");
        let data = directory.path().join("data");
        let keys = data.join("keys");
        fs::create_dir_all(&keys).expect("a folder");
        for folder in [&data, &keys] {
            let private = fs::Permissions::from_mode(0o700);
            fs::set_permissions(folder, private).expect("private");
        }
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        fs::write(keys.join("token-signing.pk8"), pkcs8.as_ref()).expect("a file");
        let server = Server::start_with(&data, &Options::default());
        let session = Session::of(&server);
        Self {
            victim: Victim {
                server,
                session,
                _directory: directory,
            },
            key: Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("a key"),
        }
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let content = content(header, claims);
        let signature = self.key.sign(content.as_bytes());
        format!("{content}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    /// What is answered to a request with these header lines.
    fn answer(&self, target: &str, lines: &[String], body: Option<&str>) -> Answer {
        let method = if body.is_some() { "POST" } else { "GET" };
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n");
        for line in lines {
            text.push_str(line);
            text.push_str("\r\n");
        }
        if let Some(body) = body {
            text.push_str("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ");
            text.push_str(&body.len().to_string());
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        text.push_str(body.unwrap_or_default());
        let answer = exchange(&self.victim.server, text.as_bytes()).expect("an answer");
        Answer {
            status: answer.status,
            challenge: answer.header("www-authenticate").map(str::to_owned),
            body: String::from_utf8_lossy(&answer.body).into_owned(),
        }
    }

    /// All that is answered to a token in each place where one can be sent.
    fn answers(&self, token: &str) -> Vec<Answer> {
        let bearer = vec![format!("Authorization: Bearer {token}")];
        let pair = STANDARD.encode(format!("token:{token}"));
        let basic = vec![format!("Authorization: Basic {pair}")];
        let mut answers = Vec::new();
        for target in [
            "/v2/",
            "/v2/_catalog",
            "/v2/acme/web/manifests/v1",
            "/v2/acme/nothing/manifests/v1",
            "/api/v1/repositories",
            "/token?scope=repository:acme/web:pull",
        ] {
            answers.push(self.answer(target, &bearer, None));
            answers.push(self.answer(target, &basic, None));
        }
        let form = format!("grant_type=refresh_token&service=x&client_id=x&refresh_token={token}");
        answers.push(self.answer("/token", &[], Some(&form)));
        answers
    }
}

/// What a client hears, but for the name of its request.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    challenge: Option<String>,
    body: String,
}

fn content(header: &Value, claims: &Value) -> String {
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}", encode(header), encode(claims))
}

fn parts(token: &str) -> (Value, Value) {
    let part = |index| {
        let encoded = token.split('.').nth(index).expect("a part");
        let bytes = URL_SAFE_NO_PAD.decode(encoded).expect("base64");
        serde_json::from_slice(&bytes).expect("JSON")
    };
    (part(0), part(1))
}

fn with(part: &Value, name: &str, value: Value) -> Value {
    let mut changed = part.clone();
    changed[name] = value;
    changed
}

/// A request of the management API by the administrator.
async fn manage(session: &Session, method: Method, path: &str, body: Option<Value>) -> Value {
    let request = session.request(method, path);
    let request = match body {
        Some(body) => request.json(&body),
        None => request,
    };
    let answer = request.send().await.expect("an answer");
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    let text = answer.text().await.expect("text");
    serde_json::from_str(&text).unwrap_or_default()
}

/// An authorization token of a new user of a new account.
async fn user(session: &Session, account: &str) -> String {
    let (password, name) = ("a password of nobody else", format!("{account}/alice"));
    let new = json!({ "name": account });
    manage(session, Method::POST, "/api/v1/accounts", Some(new)).await;
    let new = json!({ "name": name, "kind": "user", "password": password });
    manage(session, Method::POST, "/api/v1/principals", Some(new)).await;
    let request = session.anonymous(Method::POST, "/api/v1/authorization-tokens");
    let answer = request.basic_auth(&name, Some(password)).json(&json!({}));
    let answer = answer.send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::CREATED);
    let token: Value = answer.json().await.expect("JSON");
    token["token"].as_str().expect("a token").to_owned()
}

/// Tokens that were made up or changed, and what the log says of each.
fn made_up(forge: &Forge, good: &str, bearer: &str) -> Vec<(String, &'static str)> {
    let (header, claims) = parts(good);
    let (bearer_header, bearer_claims) = parts(bearer);
    let now = claims["iat"].as_i64().expect("a time");
    let elsewhere = json!("landfall:00000000-0000-7000-8000-000000000000");
    let signature = |token: &str| token.rsplit_once('.').expect("parts").1.to_owned();
    let hs256 = with(&header, "alg", json!("HS256"));
    let by_public_key = {
        let key = hmac::Key::new(hmac::HMAC_SHA256, forge.key.public_key().as_ref());
        let content = content(&hs256, &claims);
        let tag = hmac::sign(&key, content.as_bytes());
        format!("{content}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
    };
    let none = content(&with(&header, "alg", json!("none")), &claims);
    let everything = json!([{ "type": "registry", "name": "operation", "actions": ["*"] }]);
    let forged = with(&bearer_claims, "access", everything);
    let forged_scope = format!("{}.{}", content(&bearer_header, &forged), signature(bearer));
    let unknown_key = with(
        &header,
        "kid",
        json!("00000000-0000-7000-8000-000000000000"),
    );
    vec![
        (format!("{none}."), "the token is no JWT"),
        (by_public_key, "the token's algorithm is not EdDSA"),
        (
            forge.sign(&header, &with(&claims, "iss", elsewhere.clone())),
            "the token was issued by somebody else",
        ),
        (
            forge.sign(&header, &with(&claims, "aud", elsewhere)),
            "the token is meant for somebody else",
        ),
        (
            forge.sign(&unknown_key, &claims),
            "the token names a key that is not known",
        ),
        (
            forge.sign(&header, &with(&claims, "exp", json!(now - 1))),
            "the token has ended",
        ),
        (
            forge.sign(&header, &with(&claims, "nbf", json!(now + 3600))),
            "the token is not good yet",
        ),
        (forged_scope, "the token's signature is not right"),
        (
            good[..good.len() - 10].to_owned(),
            "the token's signature is not right",
        ),
        (
            format!("eyJ{}", "a".repeat(20_000)),
            "the token is too long",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_token_is_told_the_same_and_the_log_tells_why() {
    let forge = Forge::start();
    let session = forge.victim.session.clone();
    session.push("acme/web", "v1", &Image::new(1, 2)).await;
    let made = manage(
        &session,
        Method::POST,
        "/api/v1/authorization-tokens",
        Some(json!({})),
    );
    let made = made.await;
    let good = made["token"].as_str().expect("a token").to_owned();
    let (header, claims) = parts(&good);
    let resigned = forge.sign(&header, &claims);
    assert_eq!(resigned, good, "the test signs as the registry does");
    let bearer = session.token(&["repository:acme/web:pull"]).await;

    // Taken away from whom they were made for.
    let disabled = user(&session, "disabled").await;
    let path = format!("/api/v1/principals/{}", segment("disabled/alice"));
    let off = Some(json!({ "enabled": false }));
    manage(&session, Method::PATCH, &path, off).await;
    let deleted = user(&session, "deleted").await;
    manage(&session, Method::DELETE, "/api/v1/accounts/deleted", None).await;
    let revoked = user(&session, "revoked").await;
    let id = parts(&revoked).1["jti"].as_str().expect("an id").to_owned();
    let path = format!("/api/v1/authorization-tokens/{id}");
    manage(&session, Method::DELETE, &path, None).await;

    let mut cases = made_up(&forge, &good, &bearer);
    cases.extend([
        (disabled, "or its account, is disabled"),
        (deleted, "or its account, is gone"),
        (revoked, "the token was revoked"),
    ]);
    let expected = forge.answers("eyJhbGciOiJub25lIn0.e30.");
    for answer in &expected {
        assert_eq!(answer.status, 401, "{answer:?}");
        let challenge = answer.challenge.as_deref().unwrap_or_default();
        assert!(challenge.contains("error=\"invalid_token\""), "{answer:?}");
    }
    let check = |token: &str, reason: &str| {
        let before = forge.victim.server.log().len();
        assert_eq!(forge.answers(token), expected, "{reason}");
        let log = forge.victim.server.log();
        let said = &log[before..];
        assert!(said.contains(reason), "{reason} is not in the log:\n{said}");
        assert!(!said.contains(token), "a token is in the log");
    };
    for (token, reason) in &cases {
        check(token, reason);
    }
    // Two of them in one request, both good.
    let twice = [
        format!("Authorization: Bearer {good}"),
        format!("Authorization: Bearer {bearer}"),
    ];
    let answer = forge.answer("/v2/", &twice, None);
    assert_eq!(answer, expected[0]);
    assert!(
        forge
            .victim
            .server
            .log()
            .contains("two credentials in one request")
    );

    // At last the key itself: what it signed is worth nothing any more.
    let kid = header["kid"].as_str().expect("a kid");
    let path = format!("/api/v1/signing-keys/{kid}");
    manage(&session, Method::DELETE, &path, None).await;
    check(&good, "the token's key was revoked");
    forge.victim.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_that_are_wrong_are_refused_with_a_sentence() {
    let forge = Forge::start();
    for (form, status) in [
        ("", 400),
        ("grant_type=password", 400),
        ("grant_type=password&username=admin", 400),
        ("grant_type=authorization_code&code=x", 400),
        ("grant_type=refresh_token", 400),
        ("grant_type=refresh_token&refresh_token=x", 401),
        ("grant_type=refresh_token&refresh_token=", 401),
        (
            "grant_type=refresh_token&grant_type=password&refresh_token=x",
            400,
        ),
        ("grant_type=password&username=a&username=b&password=c", 400),
        ("grant_type=password&username=admin&password=wrong", 401),
        ("grant_type=password&username=%00&password=x", 400),
        (
            "grant_type=password&username=&password=&scope=nonsense",
            400,
        ),
        ("grant_type=password&username=&password=&scope=a:b:c", 200),
    ] {
        let answer = forge.answer("/token", &[], Some(form));
        assert_eq!(answer.status, status, "{form}: {}", answer.body);
    }
    let header = [super::raw::authorization()];
    let form = "grant_type=password&username=admin&password=x";
    assert_eq!(forge.answer("/token", &header, Some(form)).status, 400);
    let long = format!(
        "grant_type=password&username=a&password={}",
        "x".repeat(70_000)
    );
    assert_eq!(forge.answer("/token", &[], Some(&long)).status, 400);
    let scopes = "scope=repository:acme/web:pull&".repeat(65);
    let many = forge.answer(&format!("/token?{scopes}"), &header, None);
    assert_eq!(many.status, 400, "{}", many.body);
    forge.victim.assert_well().await;
}
