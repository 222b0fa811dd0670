//! Requests that are begun with a right, and held back until it is gone.

use base64::Engine;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Victim, raw::Raw};

const OLD: &str = "the password that was stolen";
const NEW: &str = "the password of the owner";

impl Victim {
    /// Sends a request as the administrator.
    async fn does(&self, method: Method, path: &str, body: &Value, status: u16) -> Value {
        let request = self.session.request(method, &format!("/api/v1{path}"));
        let answer = request.json(body).send().await.expect("answer");
        let found = answer.status();
        let text = answer.text().await.expect("a body");
        assert_eq!(found.as_u16(), status, "{path}: {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Begins a request of `acme/alice`: the server waits for its body.
    fn begin(&self, method: &str, path: &str, body: &[u8]) -> Raw {
        let pair = format!("acme/alice:{OLD}");
        let pair = base64::engine::general_purpose::STANDARD.encode(pair);
        let head = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {pair}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
            body.len()
        );
        let mut raw = Raw::open(&self.server);
        raw.send(head.as_bytes());
        let asked = raw.answer().map(|answer| answer.status);
        assert_eq!(asked, Some(100), "the server doesn't wait for {path}");
        raw.send(&body[..1]);
        raw
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_begun_with_a_right_does_nothing_when_it_is_gone() {
    let victim = Victim::start();
    let account = json!({ "name": "acme" });
    victim.does(Method::POST, "/accounts", &account, 201).await;
    let alice = json!({ "name": "acme/alice", "password": OLD });
    victim.does(Method::POST, "/principals", &alice, 201).await;
    let policy = json!({
        "name": "acme/admins",
        "target": { "kind": "principal", "name": "acme/alice" },
        "text": "permit (principal, action, resource);",
    });
    victim.does(Method::POST, "/policies", &policy, 201).await;
    let bob = json!({ "name": "acme/bob", "password": NEW }).to_string();
    let bob = bob.as_bytes();
    let finish = |mut raw: Raw, body: &[u8]| {
        raw.send(&body[1..]);
        raw.answer().map(|answer| answer.status)
    };

    // A right that is taken away.
    let begun = victim.begin("POST", "/principals", bob);
    let forbid = json!({
        "name": "acme/no-more",
        "target": { "kind": "principal", "name": "acme/alice" },
        "text": "forbid (principal, action, resource);",
    });
    victim.does(Method::POST, "/policies", &forbid, 201).await;
    assert_eq!(finish(begun, bob), Some(403));

    // A password that is changed.
    let path = "/policies/acme%2Fno-more";
    victim.does(Method::DELETE, path, &Value::Null, 204).await;
    let lock_out = json!({ "password": "a lock-out" }).to_string();
    let requests: [(&str, &str, &[u8]); 5] = [
        ("POST", "/principals/~/api-keys", b"{}"),
        ("POST", "/authorization-tokens", b"{}"),
        ("PUT", "/principals/~/password", lock_out.as_bytes()),
        ("POST", "/principals", bob),
        ("POST", "/repositories", br#"{"name":"acme/web"}"#),
    ];
    let begun = requests.map(|(method, path, body)| {
        let raw = victim.begin(method, path, body);
        (raw, path, body)
    });
    let path = "/principals/acme%2Falice/password";
    let password = json!({ "password": NEW });
    victim.does(Method::PUT, path, &password, 204).await;
    for (raw, path, body) in begun {
        assert_eq!(finish(raw, body), Some(401), "{path}");
    }

    let owner = victim.session.anonymous(Method::GET, "/v2/");
    let owner = owner.basic_auth("acme/alice", Some(NEW)).send().await;
    assert_eq!(owner.expect("answer").status(), 200);
    let keys = "/api/v1/principals/acme%2Falice/api-keys";
    assert_eq!(victim.session.json(keys).await["items"], json!([]));
    for path in ["/principals/acme%2Fbob", "/repositories/acme%2Fweb"] {
        victim.does(Method::GET, path, &Value::Null, 404).await;
    }
}
