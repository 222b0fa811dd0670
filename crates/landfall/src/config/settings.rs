//! Every setting, once.

use std::path::PathBuf;

use super::{
    effective::Effective,
    error::Problem,
    kind::{
        Address, Allowed, BlobsLocation, Count, DatabaseLocation, Every, Folder, Kind, Level,
        Lifetime, LogFormat, OptionalFile, OptionalUrl, Proxies, Size, SizeOrNone, Span,
        SpanOrNever, Switch, Timeout,
    },
};

/// The name of the setting that others are relative to.
pub(super) const DATA: &str = "data";

/// One setting, as everything but [`Config`] sees it.
#[derive(Debug)]
pub(super) struct Setting {
    /// Empty for `data`, which stands above the sections.
    pub(super) section: &'static str,
    /// The full name: `section.key`.
    pub(super) name: &'static str,
    pub(super) default: Preset,
    /// What a value looks like, to follow "expected".
    pub(super) expected: &'static str,
    /// What a value is called in help.
    pub(super) placeholder: &'static str,
    /// Whether a flag without a value means `true`.
    pub(super) is_switch: bool,
    document: &'static str,
}

/// The value of a setting that nobody set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Preset {
    /// This text, read like any other.
    Is(&'static str),
    /// No value.
    Unset,
    /// A URL of something in the data folder.
    InData {
        /// `scheme://` of the URL.
        scheme: &'static str,
        /// The name in the data folder.
        entry: &'static str,
    },
}

impl Setting {
    /// `LANDFALL_<SECTION>_<KEY>`.
    pub(super) fn variable(&self) -> String {
        format!("LANDFALL_{}", self.name.replace('.', "_").to_uppercase())
    }

    /// `<section>-<key>`, without the dashes before it.
    pub(super) fn flag(&self) -> String {
        self.name.replace(['.', '_'], "-")
    }

    /// What it does, in one or two sentences.
    pub(super) fn document(&self) -> String {
        let words: Vec<&str> = self.document.split_whitespace().collect();
        words.join(" ")
    }
}

macro_rules! settings {
    (
        $( #[doc = $data_document:literal] )+
        data: $DataKind:ty = $data_default:expr;
        $(
            $( #[doc = $section_document:literal] )+
            $section:ident: $Section:ident {
                $(
                    $( #[doc = $document:literal] )+
                    $key:ident: $Kind:ty = $default:expr;
                )+
            }
        )+
    ) => {
        /// All settings of the server.
        #[derive(Debug, Clone, PartialEq)]
        pub(crate) struct Config {
            $( #[doc = $data_document] )+
            pub(crate) data: PathBuf,
            $(
                $( #[doc = $section_document] )+
                pub(crate) $section: $Section,
            )+
        }

        $(
            $( #[doc = $section_document] )+
            #[derive(Debug, Clone, PartialEq)]
            pub(crate) struct $Section {
                $(
                    $( #[doc = $document] )+
                    pub(crate) $key: <$Kind as Kind>::Value,
                )+
            }
        )+

        /// The sections in the order of the documents, and what they are about.
        pub(super) const SECTIONS: &[(&str, &str)] = &[
            $( (stringify!($section), concat!($($section_document),+)), )+
        ];

        /// All settings, section by section.
        pub(super) const SETTINGS: &[Setting] = &[
            Setting {
                section: "",
                name: DATA,
                default: $data_default,
                expected: <$DataKind as Kind>::EXPECTED,
                placeholder: <$DataKind as Kind>::PLACEHOLDER,
                is_switch: <$DataKind as Kind>::IS_SWITCH,
                document: concat!($($data_document),+),
            },
            $( $(
                Setting {
                    section: stringify!($section),
                    name: concat!(stringify!($section), ".", stringify!($key)),
                    default: $default,
                    expected: <$Kind as Kind>::EXPECTED,
                    placeholder: <$Kind as Kind>::PLACEHOLDER,
                    is_switch: <$Kind as Kind>::IS_SWITCH,
                    document: concat!($($document),+),
                },
            )+ )+
        ];

        impl Config {
            /// Reads every value, and notes every one that is wrong.
            pub(super) fn read(
                effective: &Effective,
                problems: &mut Vec<Problem>,
            ) -> Option<Self> {
                let data = effective.read::<$DataKind>(DATA, problems);
                $(
                    let $section = $Section::read(effective, problems);
                )+
                Some(Self { data: data?, $( $section: $section?, )+ })
            }
        }

        $(
            impl $Section {
                fn read(effective: &Effective, problems: &mut Vec<Problem>) -> Option<Self> {
                    $(
                        let $key = effective.read::<$Kind>(
                            concat!(stringify!($section), ".", stringify!($key)),
                            problems,
                        );
                    )+
                    Some(Self { $( $key: $key?, )+ })
                }
            }
        )+
    };
}

use Preset::{InData, Is, Unset};

settings! {
    /// The folder of everything that is kept: database, blobs, keys. It is
    /// made at the first start.
    data: Folder = Is("/var/lib/landfall");

    /// The socket and its limits.
    server: Server {
        /// The address and port to listen on. Port 0 takes a free one.
        listen: Address = Is("127.0.0.1:5000");
        /// The URL under which clients reach the server, if it isn't the one
        /// they ask for: it stands in answers that point back to us.
        external_url: OptionalUrl = Unset;
        /// Ranges of addresses of proxies before the server, separated by commas:
        /// `10.0.0.0/8`. What they write into `X-Forwarded-For` is believed: it tells
        /// the audit log and policies where a request comes from.
        trusted_proxies: Proxies = Unset;
        /// A PEM file with the certificate chain, leaf first. With it and its
        /// key, the server speaks TLS. SIGHUP reads both again.
        tls_certificate: OptionalFile = Unset;
        /// A PEM file with the private key of the certificate.
        tls_key: OptionalFile = Unset;
        /// The most connections at the same time. When there are more, the
        /// one that has been idle longest is closed.
        max_connections: Count = Is("20000");
        /// How long a client may take for the head of a request, and for the
        /// TLS handshake.
        header_timeout: Timeout = Is("15s");
        /// How long a connection may stay open without a request.
        idle_timeout: Timeout = Is("3m");
        /// How long a client may neither send its body nor read its answer.
        progress_timeout: Timeout = Is("60s");
        /// How long running requests may take to finish when the server is
        /// told to stop.
        drain_timeout: Span = Is("30s");
    }

    /// What the server says about itself on standard error.
    log: Log {
        /// How lines are written: for people, or as JSON.
        format: LogFormat = Is("text");
        /// The least important level that is written.
        level: Level = Is("info");
    }

    /// Where the metadata is.
    database: Database {
        /// The database. Without a value it is a SQLite file in the data
        /// folder; `postgres://user:password@host/name` is a PostgreSQL
        /// database, which several servers may share. `?sslmode=` is `disable`,
        /// `prefer`, `require` or `verify-full`.
        url: DatabaseLocation = InData { scheme: "sqlite://", entry: "landfall.db" };
        /// The most connections to PostgreSQL for transactions. Some more are
        /// for reading.
        connections: Count = Is("16");
    }

    /// Where the bytes are.
    blobs: Blobs {
        /// The store of the blobs. Without a value it is a folder in the data
        /// folder; `s3://bucket/prefix?region=eu-central-1` is a bucket, with
        /// `&endpoint=https://host:port` on a server that is not Amazon's. Its
        /// key is not in the URL but where Amazon's tools look for it:
        /// `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, a web identity, or
        /// the role of the machine.
        url: BlobsLocation = InData { scheme: "file://", entry: "blobs" };
        /// Whether clients that pull are sent to the bucket, with a URL that is
        /// good for some minutes, instead of getting the bytes from here. They have
        /// to reach it under the name that stands in `blobs.url`.
        redirect: Switch = Is("false");
        /// Whether the bytes of large uploads to a folder go past the memory in
        /// which the system keeps what was read or written last. With it, uploads
        /// cost less and don't push out what others pull. Without it, the first
        /// pull of a large blob after its upload does not wait for the disk.
        direct_writes: Switch = Is("true");
    }

    /// What may be pushed and pulled, and how long promises last.
    registry: Registry {
        /// Whether anybody may pull without logging in.
        anonymous_pull: Switch = Is("false");
        /// The largest manifest that is taken.
        max_manifest_size: Size<4_194_304> = Is("8MiB");
        /// The largest blob that is taken; 0 means that there is no limit.
        max_blob_size: SizeOrNone = Is("0");
        /// How long a blob that a client was told about is kept without an
        /// image that needs it. A push must not take longer from its first
        /// blob to its manifest.
        promise: Timeout = Is("1h");
        /// How long a deleted image keeps its layers: pushed again in that time, it
        /// needs no upload.
        undo_window: Span = Is("24h");
        /// How long it is remembered what happened to a tag; at least as long as
        /// the time for undoing.
        tag_history: Timeout = Is("90d");
        /// How long an upload that was begun may take.
        upload_lifetime: Timeout = Is("24h");
    }

    /// The collection of garbage.
    gc: Gc {
        /// How often garbage is collected; 0 means only by hand.
        interval: Every = Is("1h");
        /// How long bytes that nothing refers to any more stay on the disk: at
        /// least as long as the longest download.
        trash_delay: Span = Is("1h");
        /// After what time an image that has lost its last tag is deleted.
        untagged_after: SpanOrNever = Is("never");
    }

    /// What happened, and for how long it can be read.
    events: Events {
        /// How long events are kept. An event that still has to be delivered to
        /// a webhook is kept longer.
        retention: Timeout = Is("7d");
    }

    /// Who is told of events.
    webhooks: Webhooks {
        /// How long a delivery that fails is tried again, with growing pauses,
        /// before it becomes a dead letter.
        retry_for: Timeout = Is("24h");
    }

    /// Requests to hosts that users name, such as those of webhooks.
    egress: Egress {
        /// Ranges of addresses, and hosts, that requests may go to although
        /// they are private, separated by commas: `10.0.0.0/8, hooks.internal`.
        /// Without it only the public Internet is reached.
        allow: Allowed = Unset;
        /// A PEM file with certificates that a host's may be signed by, besides
        /// those that this machine trusts.
        ca_certificate: OptionalFile = Unset;
    }

    /// The key that secrets in the database are sealed under.
    keys: Keys {
        /// The file of the master key, readable by its owner alone. Without a value it
        /// is `keys/master` in the data folder, made at the first start. All
        /// servers on one database need the same key.
        master_file: OptionalFile = Unset;
    }

    /// Who did what, and for how long that can be read.
    audit: Audit {
        /// How long lines of the audit log are kept; `never` means that none is
        /// taken away.
        retention: SpanOrNever = Is("400d");
    }

    /// What clients log in with.
    token: Token {
        /// How long a token for a pull or a push is valid. It never outlives
        /// the API key or token that it was made with.
        lifetime: Lifetime = Is("5m");
    }
}
