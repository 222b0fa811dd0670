//! Heads that are wrong: credentials above all.

use super::{
    Victim,
    raw::{authorization, exchange},
};

/// Sends a GET with these header lines and nothing else.
fn status(victim: &Victim, target: &str, lines: &[&str]) -> u16 {
    let mut text = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n");
    for line in lines {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    exchange(&victim.server, text.as_bytes()).map_or(400, |answer| answer.status)
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_none_open_nothing() {
    let victim = Victim::start();
    let right = authorization();
    assert_eq!(status(&victim, "/v2/", &[&right]), 200);
    assert_eq!(
        status(
            &victim,
            "/v2/",
            &[&right.to_uppercase().replace("BASIC", "basic")]
        ),
        401
    );
    let token = victim.session.token(&["repository:acme/web:pull"]).await;
    assert_eq!(
        status(
            &victim,
            "/v2/",
            &[&format!("Authorization: bearer {token}")]
        ),
        200
    );
    let mut parts = token.split('.');
    let mut part = || parts.next().expect("three parts");
    let (header, claims, signature) = (part(), part(), part());
    let cut = right.len() - 3;
    let wrong = [
        right[..cut].to_owned(),
        format!("{right}!"),
        "Authorization: Basic".to_owned(),
        "Authorization: Basic ".to_owned(),
        "Authorization:".to_owned(),
        "Authorization: Basic %%%%".to_owned(),
        // `admin` without a colon; bytes that are no text; only a colon.
        "Authorization: Basic YWRtaW4=".to_owned(),
        "Authorization: Basic //79/w==".to_owned(),
        format!("Authorization: Basic {}", "QUFB".repeat(10_000)),
        // A NUL as the name, in the name, and in the password.
        "Authorization: Basic ADph".to_owned(),
        "Authorization: Basic YWRtaW4AOmE=".to_owned(),
        "Authorization: Basic YWRtaW46AA==".to_owned(),
        "Authorization: Digest username=\"admin\"".to_owned(),
        "Authorization: Bearer".to_owned(),
        "Authorization: Bearer a.b".to_owned(),
        "Authorization: Bearer ..".to_owned(),
        format!("Authorization: Bearer {}", "a".repeat(40_000)),
        format!("Authorization: Bearer {header}.{claims}."),
        format!("Authorization: Bearer {header}.{signature}.{claims}"),
        // {"alg":"none"}
        format!("Authorization: Bearer eyJhbGciOiJub25lIn0.{claims}."),
        // {"alg":"HS256"}
        format!("Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.{claims}.{signature}"),
    ];
    for line in &wrong {
        let shown = line.get(..60).unwrap_or(line);
        for target in [
            "/v2/",
            "/v2/_catalog",
            "/api/v1/store",
            "/api/v1/repositories",
            "/token",
        ] {
            let status = status(&victim, target, &[line]);
            assert_eq!(status, 401, "{target} with {shown}");
        }
    }
    // One credential too many: nobody guesses which one is meant.
    let bearer = format!("Authorization: Bearer {token}");
    for lines in [
        [&right, &right],
        [&right, &bearer],
        [&wrong[0], &right],
        [&bearer, &bearer],
    ] {
        let lines = lines.map(String::as_str);
        assert_eq!(status(&victim, "/v2/", &lines), 401, "two credentials");
        assert_eq!(
            status(&victim, "/api/v1/store", &lines),
            401,
            "two credentials"
        );
    }
    victim.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_with_one_changed_character_is_worthless() {
    let victim = Victim::start();
    let token = victim.session.token(&["repository:acme/web:pull"]).await;
    let length = token.len();
    let places = (0..length).step_by(length.div_ceil(40)).chain([length / 2]);
    for place in places {
        let mut changed = token.clone().into_bytes();
        changed[place] = if changed[place] == b'A' { b'Q' } else { b'A' };
        let line = format!(
            "Authorization: Bearer {}",
            String::from_utf8(changed).expect("text")
        );
        assert_eq!(
            status(&victim, "/v2/", &[&line]),
            401,
            "changed at {place} of {length}"
        );
    }
    victim.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_too_large_or_none_are_refused() {
    let victim = Victim::start();
    let large = format!("X-Large: {}", "a".repeat(200_000));
    let refused = status(&victim, "/healthz", &[&large]);
    assert!([400, 431].contains(&refused), "{refused}");
    let many: Vec<String> = (0..2000).map(|number| format!("X-{number}: 1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let refused = status(&victim, "/healthz", &many);
    assert!([400, 431].contains(&refused), "{refused}");
    // What names a request in the log is not taken over when it is no name.
    let odd = [
        "X-Request-Id: a\tb",
        "X-Request-Id: \u{1b}[31m",
        "X-Request-Id: ",
        "Cookie: a=b",
    ];
    for line in odd {
        let answered = status(&victim, "/healthz", &[line]);
        assert!([200, 400].contains(&answered), "{line}: {answered}");
    }
    let garbage: [&[u8]; 9] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\0\0\0\0\0\0\0\0",
        b"GET\r\n\r\n",
        b"GET /healthz\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\nHost: a\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n folded: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense nonsense nonsense",
        b"\r\n\r\n\r\n\r\nGET /nowhere HTTP/1.1\nHost: a\n\n",
    ];
    for bytes in garbage {
        let mut raw = super::raw::Raw::open(&victim.server);
        raw.send(bytes);
        raw.end();
        let said = raw.until_closed();
        assert!(
            !said.windows(7).any(|bytes| bytes == b" 200 OK"),
            "{bytes:?} is answered well"
        );
    }
    assert!(
        !victim.server.log().contains('\u{1b}'),
        "an escape sequence is in the log"
    );
    victim.assert_well().await;
}
