//! Tokens that somebody made up, changed, or should not have any more. Each
//! proves nobody, and the log says why.

use landfall_ids::{SigningKeyId, StoreId};

use super::*;

on_each!(
    what_was_made_up_or_changed_is_refused_with_a_reason,
    what_was_taken_away_is_refused_with_a_reason,
    a_bearer_token_makes_no_other_token,
);

/// Changes one claim of a good token.
fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut changed = claims.clone();
    changed[name] = value;
    changed
}

const NOT_ONE: &str = "the token is no JWT, or of an algorithm that nobody knows";
const MALFORMED: &str = "the token's claims are not those of a token of ours";
const SIGNATURE: &str = "the token's signature is not right";

/// What it is, the token, and the reason why it is refused.
type Case = (&'static str, String, &'static str);

fn of_other_algorithms(place: &Place, good: &str) -> Vec<Case> {
    let (header, claims) = parts(good);
    let by_public_key = {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = header_kid(good);
        let key = EncodingKey::from_secret(&place.public());
        jsonwebtoken::encode(&header, &claims, &key).expect("a token")
    };
    let none = {
        let forged = signed(place, &with(&header, "alg", json!("none")), &claims);
        format!("{}.", forged.rsplit_once('.').expect("three parts").0)
    };
    let unknown = json!(SigningKeyId::new_at(1).to_string());
    let sign = |header: &Value| signed(place, header, &claims);
    vec![
        ("alg none", none, NOT_ONE),
        ("HS256", by_public_key, "the token's algorithm is not EdDSA"),
        (
            "kid",
            sign(&with(&header, "kid", unknown)),
            "the token names a key that is not known",
        ),
        (
            "no kid",
            sign(&json!({ "typ": "JWT", "alg": "EdDSA" })),
            "the token names no key",
        ),
        (
            "typ",
            sign(&with(&header, "typ", json!("at+jwt"))),
            "the token's header is not one of ours",
        ),
    ]
}

fn of_other_content(place: &Place, good: &str) -> Vec<Case> {
    let (header, claims) = parts(good);
    let now = place.clock.now().unix_seconds();
    let elsewhere = format!("landfall:{}", StoreId::new_at(2));
    let both = json!([claims["aud"], elsewhere]);
    let cases = [
        (
            "iss",
            json!(elsewhere),
            "the token was issued by somebody else",
        ),
        (
            "aud",
            json!(elsewhere),
            "the token is meant for somebody else",
        ),
        ("aud", both, MALFORMED),
        ("exp", json!(now), "the token has ended"),
        ("nbf", json!(now + 61), "the token is not good yet"),
        (
            "use",
            json!("authorization"),
            "the token's claims contradict each other",
        ),
        ("use", json!("refresh"), MALFORMED),
        ("admin", json!(true), MALFORMED),
        (
            "epoch",
            json!(1_000_000),
            "the token is of an epoch that the database doesn't know",
        ),
        ("sub", json!("admin"), "the token names no principal"),
    ];
    let cases = cases.into_iter().map(|(name, value, reason)| {
        let token = signed(place, &header, &with(&claims, name, value));
        (name, token, reason)
    });
    cases.collect()
}

fn of_other_shape(place: &Place, good: &str) -> Vec<Case> {
    let (header, claims) = parts(good);
    let (content, signature) = good.rsplit_once('.').expect("three parts");
    let forged_scope = {
        let access = json!([{ "type": "repository", "name": "acme/web", "actions": ["*"] }]);
        let forged = signed(place, &header, &with(&claims, "access", access));
        let (content, _) = forged.rsplit_once('.').expect("three parts");
        format!("{content}.{signature}")
    };
    let twice = {
        let text = claims.to_string();
        let text = text.replacen('{', &format!("{{\"sub\":{},", claims["sub"]), 1);
        signed_text(place, &header, &text)
    };
    vec![
        ("forged scope", forged_scope, SIGNATURE),
        ("a claim twice", twice, MALFORMED),
        ("oversized", "x".repeat(20_000), "the token is too long"),
        ("truncated", good[..good.len() - 10].to_owned(), SIGNATURE),
        ("no signature", content.to_owned(), NOT_ONE),
        ("empty", String::new(), NOT_ONE),
        ("four parts", format!("{good}.e30"), NOT_ONE),
    ]
}

async fn what_was_made_up_or_changed_is_refused_with_a_reason(kind: Kind) {
    let place = Place::new(kind).await;
    let identity = place.server().await;
    let caller = admin(&identity).await;
    let good = bearer(&identity, &caller).await;
    let (header, claims) = parts(&good);
    assert_eq!(
        reason(&identity, &signed(&place, &header, &claims)).await,
        "good",
        "the test signs as the registry does"
    );
    let mut cases = of_other_algorithms(&place, &good);
    cases.extend(of_other_content(&place, &good));
    cases.extend(of_other_shape(&place, &good));
    for (what, token, expected) in cases {
        assert_eq!(reason(&identity, &token).await, expected, "{what}");
        // Asked again: what was found is not remembered as something else.
        assert_eq!(reason(&identity, &token).await, expected, "{what}, again");
    }
    assert_eq!(reason(&identity, &good).await, "good");
}

fn header_kid(token: &str) -> Option<String> {
    parts(token).0["kid"].as_str().map(str::to_owned)
}

async fn what_was_taken_away_is_refused_with_a_reason(kind: Kind) {
    let place = Place::new(kind).await;
    let identity = place.server().await;
    let by = admin(&identity).await;
    let (alice, caller) = user(&identity, "alice").await;
    let tokens = [
        bearer(&identity, &caller).await,
        authorization(&identity, &caller).await.1,
    ];
    let all = async |expected: &str| {
        for token in &tokens {
            assert_eq!(reason(&identity, token).await, expected);
        }
    };
    all("good").await;
    let disabled = "the principal of the token, or its account, is disabled";
    let gone = "the principal of the token, or its account, is gone";
    identity
        .principal_set_enabled(&alice, false, &by)
        .await
        .expect("disabled");
    all(disabled).await;
    identity
        .principal_set_enabled(&alice, true, &by)
        .await
        .expect("enabled");
    all("good").await;
    identity
        .account_set_enabled("acme", false, &by)
        .await
        .expect("disabled");
    all(disabled).await;
    identity
        .account_set_enabled("acme", true, &by)
        .await
        .expect("enabled");
    identity.principal_delete(&alice, &by).await.expect("gone");
    all(gone).await;
    let (_, bob) = user(&identity, "bob").await;
    let token = bearer(&identity, &bob).await;
    assert_eq!(reason(&identity, &token).await, "good");
    let key = identity.signing_keys().await.expect("keys")[0].id;
    identity
        .signing_key_revoke(key, &by)
        .await
        .expect("revoked");
    assert_eq!(
        reason(&identity, &token).await,
        "the token's key was revoked"
    );
    let again = bearer(&identity, &bob).await;
    assert_eq!(reason(&identity, &again).await, "good", "a new key signs");
}

async fn a_bearer_token_makes_no_other_token(kind: Kind) {
    let place = Place::new(kind).await;
    let identity = place.server().await;
    let caller = admin(&identity).await;
    let token = bearer(&identity, &caller).await;
    let caller = identity.caller_by_token(&token, None).await.expect("good");
    let again = identity.token_issue(&caller, Vec::new()).await;
    assert!(matches!(again, Err(Error::Unauthenticated { .. })));
    let longer = identity.authorization_token_issue(&caller, None).await;
    assert!(matches!(longer, Err(Error::Invalid { .. })));
    let secret = Secret::new(token);
    let password = identity.caller_by_password("admin", &secret, None).await;
    assert!(matches!(password, Err(Error::Unauthenticated { .. })));
}
