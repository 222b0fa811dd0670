//! Answers of registries: bounded bodies, and errors as one sentence.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{Response, StatusCode, header};
use serde::Deserialize;
use url::Url;

use crate::{Error, error::shorten};

/// The most of an error's body that is read, in bytes.
const LONGEST: u64 = 64 << 10;

/// What is said of a registry that doesn't speak TLS.
const NO_TLS: &str = "does not speak TLS";

#[derive(Deserialize)]
struct Body {
    errors: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// The body of an answer, of `most` bytes at the most.
pub(super) async fn body(
    registry: &str,
    what: &str,
    mut response: Response,
    most: u64,
) -> Result<Bytes, Error> {
    let too_long = || {
        Error::Refused(format!(
            "registry `{registry}` answers with more than {most} bytes for {what}"
        ))
    };
    if response
        .content_length()
        .is_some_and(|length| length > most)
    {
        return Err(too_long());
    }
    let mut all = BytesMut::new();
    loop {
        let chunk = response
            .chunk()
            .await
            .map_err(|error| unreached(registry, &error))?;
        let Some(chunk) = chunk else {
            return Ok(all.freeze());
        };
        if all.len() as u64 + chunk.len() as u64 > most {
            return Err(too_long());
        }
        all.extend_from_slice(&chunk);
    }
}

/// Why no whole answer came.
pub(super) fn unreached(registry: &str, error: &reqwest::Error) -> Error {
    let mut deepest: &dyn std::error::Error = error;
    let mut chain = vec![deepest.to_string()];
    while let Some(source) = deepest.source() {
        deepest = source;
        chain.push(deepest.to_string());
    }
    let about = |word: &str| chain.iter().any(|text| text.contains(word));
    if about("certificate") || about("UnknownIssuer") {
        return Error::Refused(format!(
            "the certificate of registry `{registry}` is not trusted; name its authority with \
             `--ca-certificate`: {deepest}"
        ));
    }
    if about("InvalidContentType") || about("corrupt message") {
        return Error::Refused(format!(
            "registry `{registry}` {NO_TLS}; `--src-plain-http` or `--dst-plain-http` \
             allows plain HTTP"
        ));
    }
    let why = if error.is_timeout() {
        "it is silent for too long".to_owned()
    } else {
        shorten(&deepest.to_string())
    };
    Error::unavailable(format!("registry `{registry}` can't be reached: {why}"))
}

/// Whether an error only says that the registry doesn't speak TLS.
pub(super) fn is_without_tls(error: &Error) -> bool {
    matches!(error, Error::Refused(message) if message.contains(NO_TLS))
}

/// The error that an answer to `asker` tells of, who is a user or nobody with
/// a way out. It is read under limits.
pub(super) async fn refusal(
    registry: &str,
    what: &str,
    asker: Result<&str, &str>,
    response: Response,
) -> Error {
    let status = response.status();
    let after = retry_after(&response);
    let body = body(registry, what, response, LONGEST)
        .await
        .unwrap_or_default();
    let told = serde_json::from_slice::<Body>(&body)
        .ok()
        .and_then(|body| body.errors.into_iter().next())
        .map(|entry| {
            let text = if entry.message.is_empty() {
                entry.code
            } else {
                entry.message
            };
            shorten(&text)
        })
        .filter(|text| !text.is_empty());
    let why = match &told {
        Some(told) => format!("{told} ({})", status.as_u16()),
        None => format!("status {status}"),
    };
    match status {
        StatusCode::UNAUTHORIZED => Error::Denied(match asker {
            Ok(user) => format!(
                "registry `{registry}` does not accept the login of `{user}` for {what}: {why}"
            ),
            Err(hint) => {
                format!("registry `{registry}` asks for a login for {what}: {why}; {hint}")
            }
        }),
        StatusCode::FORBIDDEN => Error::Denied(format!(
            "registry `{registry}` does not allow {what}{}: {why}",
            asker
                .map(|user| format!(" to `{user}`"))
                .unwrap_or_default()
        )),
        StatusCode::NOT_FOUND => {
            Error::Missing(format!("registry `{registry}` does not have {what}: {why}"))
        }
        status if is_transient(status) => Error::Unavailable {
            message: format!("registry `{registry}` fails to serve {what}: {why}"),
            after,
        },
        _ => Error::Refused(format!("registry `{registry}` refuses {what}: {why}")),
    }
}

/// Whether the same request may get another answer later.
pub(super) fn is_transient(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
    ) || (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
}

/// The time that the answer asks to wait.
pub(super) fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

/// A header as text.
pub(super) fn text<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// The target of `Link: <target>; rel="next"`.
pub(super) fn next_page(response: &Response, current: &Url) -> Option<Result<Url, ()>> {
    let links = response.headers().get_all(header::LINK).iter();
    let links = links.filter_map(|value| value.to_str().ok());
    let target = links.flat_map(|value| value.split(',')).find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|each| {
            each.trim()
                .replace('"', "")
                .eq_ignore_ascii_case("rel=next")
        });
        is_next.then_some(target)
    })?;
    Some(
        current
            .join(target)
            .ok()
            .filter(|next| next.origin() == current.origin())
            .ok_or(()),
    )
}
