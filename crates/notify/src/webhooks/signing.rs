//! Signatures as Standard Webhooks has them
//! (<https://www.standardwebhooks.com>, version 1 of its signatures).
//!
//! What is signed is `<id>.<timestamp>.<body>`, by HMAC-SHA-256, in base64, with
//! `v1,` before it. While a secret is being replaced, signatures of both stand
//! in the header, separated by a space.

use aws_lc_rs::{hmac, rand};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_clock::Timestamp;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

/// What a secret's text begins with.
const PREFIX: &str = "whsec_";
/// Bytes of a secret that we make.
const BYTES: usize = 32;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// The key of a webhook's signatures. It can't be printed, apart from
/// [`WebhookSecret::reveal`], and is wiped from memory.
pub struct WebhookSecret(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookSecret(****)")
    }
}

impl WebhookSecret {
    /// Makes a secret from random bytes; `None` if the machine gives none.
    pub(crate) fn make() -> Option<Self> {
        let mut bytes = Zeroizing::new(vec![0; BYTES]);
        rand::fill(&mut bytes).ok()?;
        Some(Self(bytes))
    }

    pub(crate) fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// `whsec_` and the key in base64, as receivers take it.
    pub fn reveal(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(PREFIX.to_owned());
        STANDARD.encode_string(&*self.0, &mut text);
        text
    }

    fn signature(&self, signed: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        format!("v1,{}", STANDARD.encode(hmac::sign(&key, signed)))
    }
}

/// The headers that prove where a message comes from.
pub(crate) fn headers(
    id: &str,
    now: Timestamp,
    body: &[u8],
    secrets: &[WebhookSecret],
) -> HeaderMap {
    let timestamp = now.unix_seconds().to_string();
    let mut signed = format!("{id}.{timestamp}.").into_bytes();
    signed.extend_from_slice(body);
    let signatures: Vec<_> = secrets.iter().map(|key| key.signature(&signed)).collect();
    let values = [
        (ID, id.to_owned()),
        (TIMESTAMP, timestamp),
        (SIGNATURE, signatures.join(" ")),
    ];
    let mut headers = HeaderMap::new();
    for (name, value) in values {
        // Hexadecimal, digits and base64: every such text is a header's value.
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with OpenSSL:
    /// `printf 'msg_1.1700000000.{"a":1}' | openssl dgst -sha256 -mac HMAC -macopt hexkey:<00 to 1f> -binary | base64`
    const KNOWN: &str = "v1,AMaOha7DUT/0J0JMycRuYOBSvbx3WtwLd2khXXbaVj4=";

    #[test]
    fn a_known_message_has_its_known_signature() {
        let secret = WebhookSecret(Zeroizing::new((0..32).collect()));
        let now = Timestamp::from_unix_micros(1_700_000_000_999_999);
        let headers = headers("msg_1", now, br#"{"a":1}"#, &[secret]);
        assert_eq!(headers[ID], "msg_1");
        assert_eq!(headers[TIMESTAMP], "1700000000");
        assert_eq!(headers[SIGNATURE], KNOWN);
    }

    #[test]
    fn two_secrets_make_two_signatures() {
        let secrets = [1, 2].map(|byte| WebhookSecret(Zeroizing::new(vec![byte; 32])));
        let headers = headers("id", Timestamp::default(), b"", &secrets);
        let value = headers[SIGNATURE].to_str().expect("text");
        let both: Vec<_> = value.split(' ').collect();
        assert_eq!(both.len(), 2);
        assert_ne!(both[0], both[1]);
        assert!(both.iter().all(|one| one.starts_with("v1,")));
    }

    #[test]
    fn a_secret_shows_itself_only_when_asked() {
        let secret = WebhookSecret(Zeroizing::new(vec![0; 32]));
        assert_eq!(format!("{secret:?}"), "WebhookSecret(****)");
        assert_eq!(
            *secret.reveal(),
            "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
        );
    }
}
