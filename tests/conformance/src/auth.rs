//! Logging in: Basic, and Bearer with a token endpoint.
//!
//! A request goes out with what was granted for its repository before. If it
//! is answered with 401, the challenge (RFC 9110 section 11.6.1) says what the
//! registry wants, and the request is sent once more.

use std::{collections::HashMap, fmt, sync::Mutex};

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{
    Method, Url,
    header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE},
};
use serde_json::Value;

use crate::{Failure, Target};

/// What a registry asks for in `WWW-Authenticate`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User and password on each request.
    Basic,
    /// A token from `realm`.
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

/// What a request does to which repository: the key of a granted token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Need {
    repository: String,
    action: &'static str,
    /// The source repository of a mount.
    from: Option<String>,
}

impl Need {
    pub(crate) fn of(method: &Method, url: &Url) -> Self {
        let action = match method.as_str() {
            "GET" | "HEAD" => "pull",
            "DELETE" => "delete",
            _ => "push",
        };
        let path = url.path().trim_start_matches("/v2/");
        let end = ["/manifests/", "/blobs/", "/tags/", "/referrers/"]
            .iter()
            .filter_map(|part| path.rfind(part))
            .max()
            .unwrap_or(0);
        let from = url.query_pairs().find(|(key, _)| key == "from");
        Self {
            repository: path[..end].to_owned(),
            action,
            from: from.map(|(_, value)| value.into_owned()),
        }
    }
}

/// The login of one target, and what it was granted so far.
pub(crate) struct Login {
    user: String,
    password: String,
    /// A std mutex: it is held for a look into the map, never across an await.
    granted: Mutex<Granted>,
}

/// Without password and tokens.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Granted {
    basic: bool,
    tokens: HashMap<Need, String>,
}

impl Login {
    pub(crate) fn new(target: &Target) -> Self {
        Self {
            user: target.user.clone(),
            password: target.password.clone(),
            granted: Mutex::new(Granted {
                basic: target.always_basic,
                ..Granted::default()
            }),
        }
    }

    fn basic(&self) -> Option<String> {
        let pair = STANDARD.encode(format!("{}:{}", self.user, self.password));
        (!self.user.is_empty()).then(|| format!("Basic {pair}"))
    }

    /// The `Authorization` that was good for such a request before.
    pub(crate) fn remembered(&self, need: &Need) -> Option<String> {
        let granted = self.granted.lock().ok()?;
        if granted.basic {
            self.basic()
        } else {
            granted.tokens.get(need).cloned()
        }
    }

    /// The `Authorization` that answers a 401 with these headers, if there is
    /// one: `None` leaves the 401 as the answer.
    pub(crate) async fn answer(
        &self,
        http: &reqwest::Client,
        need: &Need,
        refused: &HeaderMap,
    ) -> Result<Option<String>, Failure> {
        let offered = challenges(refused);
        if let Some(Challenge::Bearer {
            realm,
            service,
            scope,
        }) = offered
            .iter()
            .find(|challenge| matches!(challenge, Challenge::Bearer { .. }))
        {
            let scope = scope.as_deref();
            let token = self
                .fetch_token(http, need, realm, service.as_deref(), scope)
                .await?;
            let header = token.map(|token| format!("Bearer {token}"));
            if let (Some(header), Ok(mut granted)) = (&header, self.granted.lock()) {
                granted.tokens.insert(need.clone(), header.clone());
            }
            return Ok(header);
        }
        if offered.contains(&Challenge::Basic) {
            if let Ok(mut granted) = self.granted.lock() {
                granted.basic = !self.user.is_empty();
            }
            return Ok(self.basic());
        }
        Ok(None)
    }

    async fn fetch_token(
        &self,
        http: &reqwest::Client,
        need: &Need,
        realm: &str,
        service: Option<&str>,
        scope: Option<&str>,
    ) -> Result<Option<String>, Failure> {
        let mut url = Url::parse(realm).map_err(|_| Failure::Unusable {
            given: realm.to_owned(),
            purpose: "the realm of a Bearer challenge",
        })?;
        let mut scopes: Vec<String> = scope.into_iter().map(str::to_owned).collect();
        if let Some(from) = &need.from {
            scopes.push(format!("repository:{from}:pull"));
        }
        for (key, value) in service
            .map(|service| ("service", service.to_owned()))
            .into_iter()
            .chain(scopes.into_iter().map(|scope| ("scope", scope)))
        {
            url.query_pairs_mut().append_pair(key, &value);
        }
        let request = format!("GET {url}");
        let mut call = http.get(url);
        if let Some(basic) = self.basic() {
            call = call.header(AUTHORIZATION, basic);
        }
        let no_answer = |source| Failure::NoAnswer {
            request: request.clone(),
            source,
        };
        let answer = call.send().await.map_err(no_answer)?;
        if !answer.status().is_success() {
            return Ok(None);
        }
        let body = answer.bytes().await.map_err(no_answer)?;
        let document: Value = serde_json::from_slice(&body).unwrap_or_default();
        let token = document["token"]
            .as_str()
            .or_else(|| document["access_token"].as_str());
        Ok(token.map(str::to_owned))
    }
}

/// The challenges in all `WWW-Authenticate` headers, in their order.
pub(crate) fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(parse)
        .collect()
}

fn parse(header: &str) -> Vec<Challenge> {
    let mut found: Vec<(String, HashMap<String, String>)> = Vec::new();
    let mut rest = header.trim();
    while !rest.is_empty() {
        let word_end = rest.find([' ', '=', ',']).unwrap_or(rest.len());
        let word = rest[..word_end].to_ascii_lowercase();
        rest = rest[word_end..].trim_start();
        if let Some(value) = rest.strip_prefix('=') {
            let (text, after) = parameter_value(value.trim_start());
            if let Some((_, parameters)) = found.last_mut() {
                parameters.insert(word, text);
            }
            rest = after;
        } else if !word.is_empty() {
            found.push((word, HashMap::new()));
        }
        rest = rest.trim_start_matches([',', ' ']);
    }
    found
        .into_iter()
        .filter_map(|(scheme, mut parameters)| match scheme.as_str() {
            "basic" => Some(Challenge::Basic),
            "bearer" => Some(Challenge::Bearer {
                realm: parameters.remove("realm")?,
                service: parameters.remove("service"),
                scope: parameters.remove("scope"),
            }),
            _ => None,
        })
        .collect()
}

/// A token or a quoted string, unquoted, and what follows it.
fn parameter_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => value.push(character),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_challenge_is_read_with_commas_inside_its_scope() {
        let text = r#"Bearer realm="http://h/token",service="s",scope="repository:a/b:pull,push""#;
        let expected = Challenge::Bearer {
            realm: "http://h/token".to_owned(),
            service: Some("s".to_owned()),
            scope: Some("repository:a/b:pull,push".to_owned()),
        };
        assert_eq!(parse(text), [expected]);
    }

    #[test]
    fn several_challenges_in_one_header_are_told_apart() {
        let found = parse(r#"Negotiate, basic realm="x", Bearer realm=y"#);
        let bearer = Challenge::Bearer {
            realm: "y".to_owned(),
            service: None,
            scope: None,
        };
        assert_eq!(found, [Challenge::Basic, bearer]);
    }

    #[test]
    fn the_repository_of_a_request_is_the_key_of_its_token() {
        let url = Url::parse("http://h/v2/a/blobs/b/blobs/uploads/?from=c%2Fd").expect("a URL");
        let need = Need::of(&Method::POST, &url);
        assert_eq!(
            (need.repository.as_str(), need.action),
            ("a/blobs/b", "push")
        );
        assert_eq!(need.from.as_deref(), Some("c/d"));
    }
}
