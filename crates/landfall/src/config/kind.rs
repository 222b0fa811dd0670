//! Kinds of values: how each is read, and what is said when it can't be.

use std::{fmt, path::PathBuf, time::Duration};

use landfall_notify::egress::AllowList;
use landfall_server::TrustedProxies;
use tracing::Level as TracingLevel;
use url::Url;

use super::quantity::{parse_duration, parse_size};

/// A kind of value of a setting.
pub(crate) trait Kind {
    /// What it is in [`Config`](super::Config).
    type Value;
    /// What a value looks like, to follow "expected".
    const EXPECTED: &str;
    /// What a value is called in help.
    const PLACEHOLDER: &str;
    /// Whether a flag without a value means `true`.
    const IS_SWITCH: bool = false;
    /// Reads a value that was set.
    fn parse(text: &str) -> Option<Self::Value>;
    /// The value when there is none; `None` if there must be one.
    fn unset() -> Option<Self::Value> {
        None
    }
}

macro_rules! kind {
    (
        $(#[doc = $document:literal])+
        $Name:ident $(<const $limit:ident: u64>)?: $Value:ty,
        $placeholder:literal, $expected:expr,
        $parse:expr $(, unset: $unset:expr)? $(, switch: $switch:literal)?
    ) => {
        $(#[doc = $document])+
        pub(crate) struct $Name $(<const $limit: u64>)?;

        impl $(<const $limit: u64>)? Kind for $Name $(<$limit>)? {
            type Value = $Value;
            const EXPECTED: &str = $expected;
            const PLACEHOLDER: &str = $placeholder;
            $(const IS_SWITCH: bool = $switch;)?

            fn parse(text: &str) -> Option<$Value> {
                let parse: fn(&str) -> Option<$Value> = $parse;
                parse(text)
            }

            $(fn unset() -> Option<$Value> {
                Some($unset)
            })?
        }
    };
}

kind! {
    /// A folder.
    Folder: PathBuf, "DIR", "the path of a folder",
    |text| (!text.is_empty()).then(|| PathBuf::from(text))
}

kind! {
    /// A file, if there is one.
    OptionalFile: Option<PathBuf>, "FILE", "the path of a file",
    |text| Some((!text.is_empty()).then(|| PathBuf::from(text))),
    unset: None
}

kind! {
    /// What to listen on.
    Address: String, "HOST:PORT", "`HOST:PORT`, such as `0.0.0.0:5000` or `[::]:5000`",
    |text| {
        let (host, port) = text.rsplit_once(':')?;
        port.parse::<u16>().ok()?;
        let is_bare_ipv6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
        (!host.is_empty() && !is_bare_ipv6).then(|| text.to_owned())
    }
}

kind! {
    /// The root of a web site.
    OptionalUrl: Option<Url>, "URL", "an `http` or `https` URL without path, such as `https://registry.example.com`",
    |text| {
        let url = Url::parse(text).ok()?;
        let is_root = url.has_host() && url.path() == "/" && url.query().is_none()
            && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
        (is_root && matches!(url.scheme(), "http" | "https")).then_some(Some(url))
    },
    unset: None
}

kind! {
    /// What requests to the outside may reach besides the public Internet.
    Allowed: AllowList, "LIST", "ranges of addresses and hosts, such as `10.0.0.0/8, hooks.internal`",
    |text| text.parse().ok(),
    unset: AllowList::default()
}

kind! {
    /// The proxies whose word counts.
    Proxies: TrustedProxies, "LIST", "ranges of addresses, such as `10.0.0.0/8, 192.0.2.7`",
    |text| text.parse().ok(),
    unset: TrustedProxies::default()
}

kind! {
    /// How many.
    Count: usize, "NUMBER", "a number above zero",
    |text| text.parse().ok().filter(|count| *count > 0)
}

kind! {
    /// A time that must be something.
    Timeout: Duration, "DURATION", "a duration above zero, such as `30s`, `5m`, `1h` or `7d`",
    |text| parse_duration(text).filter(|duration| !duration.is_zero())
}

kind! {
    /// How long a credential that is given out is good.
    Lifetime: Duration, "DURATION", "a duration above zero and of `12h` at the most, such as `30s`, `5m` or `1h`",
    |text| Timeout::parse(text).filter(|lifetime| *lifetime <= Duration::from_hours(12))
}

kind! {
    /// A time that may be zero.
    Span: Duration, "DURATION", "a duration, such as `0`, `30s`, `5m`, `1h` or `7d`",
    parse_duration
}

kind! {
    /// A time, or not at all.
    SpanOrNever: Option<Duration>, "DURATION", "`never` or a duration above zero, such as `1h` or `7d`",
    |text| match text {
        "never" => Some(None),
        _ => Timeout::parse(text).map(Some),
    }
}

kind! {
    /// A period; zero is no period.
    Every: Option<Duration>, "DURATION", "a duration, such as `30s`, `5m`, `1h` or `7d`, or `0` for never",
    |text| match text {
        "never" => Some(None),
        _ => Some(Some(parse_duration(text)?).filter(|duration| !duration.is_zero())),
    }
}

kind! {
    /// How many bytes, and the least that makes sense.
    Size<const LEAST: u64>: u64, "SIZE", at_least(LEAST),
    |text| parse_size(text).filter(|size| *size >= LEAST)
}

const fn at_least(bytes: u64) -> &'static str {
    // Formatting is no constant expression: one arm for each limit in use.
    match bytes {
        4_194_304 => "a size of at least `4MiB`, such as `8MiB`",
        _ => "a size, such as `512KiB`, `8MiB` or `10GB`",
    }
}

kind! {
    /// How many bytes; zero is no limit.
    SizeOrNone: Option<u64>, "SIZE", "a size, such as `512KiB`, `8MiB` or `10GB`, or `0` for no limit",
    |text| Some(Some(parse_size(text)?).filter(|size| *size > 0))
}

kind! {
    /// On or off.
    Switch: bool, "BOOL", "`true` or `false` (also `1`, `0`, `yes`, `no`)",
    |text| match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" => Some(true),
        "0" | "false" | "no" => Some(false),
        _ => None,
    },
    switch: true
}

kind! {
    /// How important a log line must be.
    Level: TracingLevel, "LEVEL", "`error`, `warn`, `info`, `debug` or `trace`",
    |text| match text {
        "error" => Some(TracingLevel::ERROR),
        "warn" => Some(TracingLevel::WARN),
        "info" => Some(TracingLevel::INFO),
        "debug" => Some(TracingLevel::DEBUG),
        "trace" => Some(TracingLevel::TRACE),
        _ => None,
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object in each line.
    Json,
}

impl Kind for LogFormat {
    type Value = Self;
    const EXPECTED: &str = "`text` or `json`";
    const PLACEHOLDER: &str = "FORMAT";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// A URL that may hold a password. It can't be printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SecretUrl(String);

impl SecretUrl {
    /// The URL itself.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretUrl(****)")
    }
}

/// Where the metadata is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DatabaseUrl {
    /// An embedded database: one file.
    Sqlite(PathBuf),
    /// A PostgreSQL database, which several servers may share.
    Postgres(SecretUrl),
}

kind! {
    /// The database's URL.
    DatabaseLocation: DatabaseUrl, "URL", "the URL of a SQLite file or of a PostgreSQL database, such as `sqlite:///var/lib/landfall/landfall.db` or `postgres://user:password@host/name`",
    |text| match text.strip_prefix("sqlite:") {
        Some(rest) => file_of(rest).map(DatabaseUrl::Sqlite),
        None => secret_url(text, &["postgres", "postgresql"]).map(DatabaseUrl::Postgres),
    }
}

/// Where the blobs are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BlobsUrl {
    /// A folder.
    Folder(PathBuf),
    /// A bucket of an S3 server.
    S3(SecretUrl),
}

kind! {
    /// The blob store's URL.
    BlobsLocation: BlobsUrl, "URL", "the URL of a folder or of an S3 bucket, such as `file:///var/lib/landfall/blobs` or `s3://bucket/prefix?region=eu-central-1`",
    |text| match text.strip_prefix("file:") {
        Some(rest) => file_of(rest).map(BlobsUrl::Folder),
        None => secret_url(text, &["s3"])
            .filter(|url| Url::parse(url.reveal()).is_ok_and(|url| url.has_host()))
            .map(BlobsUrl::S3),
    }
}

/// A URL of one of these schemes. What is in it is for whoever connects: it
/// says more of what is wrong than a setting can.
fn secret_url(text: &str, schemes: &[&str]) -> Option<SecretUrl> {
    let url = Url::parse(text).ok()?;
    let known = schemes.contains(&url.scheme()) && text.contains("://");
    known.then(|| SecretUrl(text.to_owned()))
}

/// The path in what follows the scheme of a URL (RFC 8089): `///absolute`,
/// `/absolute` or `relative`, percent-encoded.
fn file_of(rest: &str) -> Option<PathBuf> {
    let path = match rest.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        // A host, which a local file does not have.
        Some(_) => return None,
        None => rest,
    };
    let decoded = percent_encoding::percent_decode_str(path)
        .decode_utf8()
        .ok()?;
    let is_path = !decoded.is_empty() && !path.contains(['?', '#']) && !decoded.contains('\0');
    is_path.then(|| PathBuf::from(decoded.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for good in ["127.0.0.1:0", "[::]:5000", "localhost:65535"] {
            assert_eq!(Address::parse(good).as_deref(), Some(good));
        }
        for bad in [
            "",
            ":5000",
            "5000",
            "host",
            "host:65536",
            "::1:5000",
            "host:",
        ] {
            assert_eq!(Address::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn switches_are_on_or_off() {
        for on in ["1", "true", "yes", "True", "YES"] {
            assert_eq!(Switch::parse(on), Some(true), "{on}");
        }
        for off in ["0", "false", "no"] {
            assert_eq!(Switch::parse(off), Some(false), "{off}");
        }
        assert_eq!(Switch::parse("on"), None);
        assert_eq!(Switch::parse(""), None);
    }

    #[test]
    fn only_the_kinds_that_may_be_zero_are() {
        assert_eq!(Timeout::parse("0"), None);
        assert_eq!(Span::parse("0"), Some(Duration::ZERO));
        assert_eq!(Every::parse("0"), Some(None));
        assert_eq!(Every::parse("1s"), Some(Some(Duration::from_secs(1))));
        assert_eq!(SpanOrNever::parse("0"), None);
        assert_eq!(SpanOrNever::parse("never"), Some(None));
        assert_eq!(Timeout::parse("never"), None);
        assert_eq!(Lifetime::parse("0"), None);
        assert_eq!(Lifetime::parse("12h"), Some(Duration::from_hours(12)));
        assert_eq!(Lifetime::parse("43201s"), None);
        assert_eq!(Count::parse("0"), None);
        assert_eq!(SizeOrNone::parse("0"), Some(None));
        assert_eq!(SizeOrNone::parse("1KiB"), Some(Some(1024)));
    }

    #[test]
    fn an_external_url_is_the_root_of_a_site() {
        let url = OptionalUrl::parse("https://registry.example.com:8443");
        let url = url.flatten().expect("a root");
        assert_eq!(url.as_str(), "https://registry.example.com:8443/");
        for bad in [
            "registry.example.com",
            "ftp://registry.example.com",
            "https://registry.example.com/path",
            "https://registry.example.com/?a",
            "https://user:password@registry.example.com",
        ] {
            assert_eq!(OptionalUrl::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn urls_of_files_are_paths() {
        let sqlite = |text| DatabaseLocation::parse(text);
        let path = |path: &str| Some(DatabaseUrl::Sqlite(PathBuf::from(path)));
        assert_eq!(sqlite("sqlite:///a/b.db"), path("/a/b.db"));
        assert_eq!(sqlite("sqlite:/a/b.db"), path("/a/b.db"));
        assert_eq!(sqlite("sqlite:b.db"), path("b.db"));
        assert_eq!(sqlite("sqlite:///a%20b/%C3%A9.db"), path("/a b/é.db"));
        for bad in [
            "/a/b.db",
            "sqlite:",
            "sqlite://",
            "sqlite://host/b.db",
            "sqlite:///b.db?mode=ro",
            "sqlite:///%00",
            "mysql://host/db",
            "postgres:host/db",
        ] {
            assert_eq!(sqlite(bad), None, "{bad}");
        }
    }
    #[test]
    fn urls_of_services_are_kept_as_they_are_and_not_printed() {
        let text = "postgres://landfall:hunter2@db:5432/landfall?sslmode=require";
        let Some(DatabaseUrl::Postgres(url)) = DatabaseLocation::parse(text) else {
            panic!("{text}")
        };
        assert_eq!(url.reveal(), text);
        assert!(!format!("{url:?}").contains("hunter2"));
        for good in ["s3://bucket", "s3://bucket/prefix?region=eu"] {
            assert!(
                matches!(BlobsLocation::parse(good), Some(BlobsUrl::S3(_))),
                "{good}"
            );
        }
        for bad in ["s3:bucket", "s3://", "s3:///bucket", "http://bucket"] {
            assert_eq!(BlobsLocation::parse(bad), None, "{bad}");
        }
    }
}
