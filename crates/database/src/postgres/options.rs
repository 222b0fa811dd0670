//! Where the database is, and how to get in: `postgres://user:password@host/name`.

use std::{collections::HashMap, fmt, path::PathBuf, time::Duration};

use percent_encoding::percent_decode_str;
use url::Url;

use crate::{Error, Result};

/// How to reach a PostgreSQL database.
#[derive(Clone)]
pub struct PostgresOptions {
    /// `postgres://user:password@host:port/name`, with `?sslmode=` (`disable`,
    /// `prefer`, `require`, `verify-full`), `sslrootcert=` (a PEM file),
    /// `host=` (the folder of a socket), `user=` and `connect_timeout=` (seconds).
    pub url: String,
    /// Connections for transactions, at the most. Look-ups, long reads and work
    /// in the background have a few of their own.
    pub connections: usize,
}

impl PostgresOptions {
    /// The database of this URL, with sixteen connections.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            connections: 16,
        }
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

/// Whether a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SslMode {
    Disable,
    /// If the server can.
    Prefer,
    /// Encrypted, whoever answers.
    Require,
    /// Encrypted, and the server proves that it has this name.
    VerifyFull,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    Tcp(String, u16),
    Socket(PathBuf),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The parts of the URL.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) host: Host,
    pub(super) user: String,
    pub(super) password: Option<String>,
    pub(super) database: String,
    pub(super) ssl: SslMode,
    pub(super) roots: Option<PathBuf>,
    pub(super) timeout: Duration,
}

impl Target {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let wrong = |what: &str| {
            Error::Refused(format!(
                "the URL of the metadata database {what}; write \
                 `postgres://user:password@host/name`"
            ))
        };
        let url = Url::parse(text).map_err(|error| wrong(&format!("can't be read ({error})")))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(wrong("does not start with `postgres://`"));
        }
        let decoded = |part: &str| {
            let text = percent_decode_str(part).decode_utf8();
            text.map(std::borrow::Cow::into_owned)
                .map_err(|_| wrong("holds something that is not UTF-8"))
        };
        let mut settings: HashMap<String, String> = url.query_pairs().into_owned().collect();
        let user = match settings.remove("user") {
            Some(user) => user,
            None => decoded(url.username())?,
        };
        if user.is_empty() {
            return Err(wrong("names no user"));
        }
        let database = decoded(url.path().trim_start_matches('/'))?;
        let port = url.port().unwrap_or(5432);
        let host = match settings.remove("host") {
            Some(host) => host,
            None => decoded(url.host_str().unwrap_or_default())?,
        };
        let host = match host.as_str() {
            "" => return Err(wrong("names no host")),
            folder if folder.starts_with('/') => {
                Host::Socket(PathBuf::from(folder).join(format!(".s.PGSQL.{port}")))
            }
            name => Host::Tcp(name.trim_matches(['[', ']']).to_owned(), port),
        };
        let ssl = match settings.remove("sslmode").as_deref() {
            None | Some("prefer") => SslMode::Prefer,
            Some("disable") => SslMode::Disable,
            Some("require") => SslMode::Require,
            Some("verify-full") => SslMode::VerifyFull,
            Some(other) => {
                return Err(Error::Refused(format!(
                    "the `sslmode` of the metadata database is `{other}`; write `disable`, \
                     `prefer`, `require` or `verify-full`"
                )));
            }
        };
        let timeout = match settings.remove("connect_timeout") {
            None => 5,
            Some(seconds) => seconds
                .parse::<u64>()
                .ok()
                .filter(|seconds| (1..=3600).contains(seconds))
                .ok_or_else(|| wrong("has a `connect_timeout` that is no number of seconds"))?,
        };
        let roots = settings.remove("sslrootcert").map(PathBuf::from);
        // It names the program for the operator of the database, who sees ours.
        settings.remove("application_name");
        if let Some(unknown) = settings.keys().next() {
            return Err(wrong(&format!(
                "has the setting `{unknown}`, which is not known"
            )));
        }
        Ok(Self {
            host,
            password: url.password().map(decoded).transpose()?,
            database: if database.is_empty() {
                user.clone()
            } else {
                database
            },
            user,
            ssl,
            roots,
            timeout: Duration::from_secs(timeout),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let target = Target::parse(
            "postgres://la%40nd:p%2Fw@db.example:6000/main?sslmode=verify-full&connect_timeout=9",
        )
        .expect("a good URL");
        assert_eq!(target.host, Host::Tcp("db.example".to_owned(), 6000));
        assert_eq!(target.user, "la@nd");
        assert_eq!(target.password.as_deref(), Some("p/w"));
        assert_eq!(target.database, "main");
        assert_eq!(target.ssl, SslMode::VerifyFull);
        assert_eq!(target.timeout, Duration::from_secs(9));
    }

    #[test]
    fn a_socket_and_a_database_of_the_users_name_are_meant() {
        let target = Target::parse("postgresql:///?host=/run/postgresql&user=landfall");
        let target = target.expect("a good URL");
        assert_eq!(
            target.host,
            Host::Socket("/run/postgresql/.s.PGSQL.5432".into())
        );
        assert_eq!(target.database, "landfall");
    }

    #[test]
    fn a_bad_url_is_refused_without_showing_the_password() {
        for (url, reason) in [
            ("mysql://u:secret@h/n", "does not start with `postgres://`"),
            ("postgres://h:secret", "can't be read"),
            ("postgres://host/name", "names no user"),
            (
                "postgres://u:secret@h/n?sslmode=maybe",
                "`sslmode` of the metadata database is `maybe`",
            ),
            (
                "postgres://u:secret@h/n?connect_timeout=soon",
                "no number of seconds",
            ),
            (
                "postgres://u:secret@h/n?shards=3",
                "`shards`, which is not known",
            ),
        ] {
            let error = Target::parse(url).err().expect(url).to_string();
            assert!(error.contains(reason), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
