//! `WWW-Authenticate`: what a registry wants to see before it answers.
//!
//! Source: RFC 9110 section 11.6.1, and Docker's token authentication
//! ("registry/spec/auth/token"). A header may hold several challenges, and
//! commas stand between them as well as between their parameters.

use std::collections::BTreeMap;

/// The most of a header that is looked at, in bytes.
const LONGEST: usize = 8 << 10;

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Name and password with each request.
    Basic,
    /// A token of this service.
    Bearer {
        /// The URL of the token service.
        realm: String,
        /// How the registry is called there.
        service: Option<String>,
        /// What the token has to allow.
        scope: Option<String>,
    },
}

/// The best challenge of a header: Bearer, else Basic.
pub(super) fn parse(header: &str) -> Option<Challenge> {
    let header = header.get(..LONGEST).unwrap_or(header);
    let mut found = None;
    for (scheme, mut parameters) in challenges(header) {
        if scheme.eq_ignore_ascii_case("bearer")
            && let Some(realm) = parameters.remove("realm")
        {
            return Some(Challenge::Bearer {
                realm,
                service: parameters.remove("service"),
                scope: parameters.remove("scope"),
            });
        }
        if scheme.eq_ignore_ascii_case("basic") {
            found = Some(Challenge::Basic);
        }
    }
    found
}

/// Each challenge with its parameters, whose names are lowercase.
fn challenges(header: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let mut all: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let word = rest
            .split([' ', '\t', ',', '='])
            .next()
            .filter(|word| !word.is_empty());
        let Some(word) = word else {
            return all;
        };
        rest = rest[word.len()..].trim_start();
        let Some(value) = rest.strip_prefix('=') else {
            all.push((word.to_owned(), BTreeMap::new()));
            continue;
        };
        let (value, after) = value_of(value.trim_start());
        rest = after;
        if let Some((_, parameters)) = all.last_mut() {
            parameters.insert(word.to_ascii_lowercase(), value);
        }
    }
}

/// A token or a quoted string, and what stands behind it.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        // An empty value must not stop the loop, so one letter is taken.
        let end = if end == 0 {
            text.chars().next().map_or(0, char::len_utf8)
        } else {
            end
        };
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(letters.next().map(|(_, escaped)| escaped)),
            plain => value.push(plain),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        }
    }

    #[test]
    fn the_challenges_of_known_registries_are_read() {
        assert_eq!(
            parse(
                r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push""#
            ),
            Some(bearer(
                "https://auth.example/token",
                Some("registry.example"),
                Some("repository:a/b:pull,push")
            ))
        );
        assert_eq!(
            parse(r#"Basic realm="https://1.ecr.example/",service="ecr.example""#),
            Some(Challenge::Basic)
        );
    }

    #[test]
    fn bearer_wins_wherever_it_stands() {
        let both = r#"Basic realm="a, b", BEARER Realm = "https://c/" , service=d"#;
        assert_eq!(parse(both), Some(bearer("https://c/", Some("d"), None)));
        let both = r#"Bearer realm="https://c/", Basic realm="a""#;
        assert_eq!(parse(both), Some(bearer("https://c/", None, None)));
    }

    #[test]
    fn what_makes_no_sense_ends() {
        for text in [
            "",
            ",,,",
            "=",
            "Bearer",
            "Bearer realm",
            "Bearer realm=",
            "Bearer realm=\"",
            "Bearer =\"x\"",
            "Digest realm=\"a\"",
            "Bearer realm=\"a\\",
        ] {
            let _ = parse(text);
        }
        assert_eq!(parse("Negotiate"), None);
    }
}
