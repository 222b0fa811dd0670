//! The sources together, as a command sees them.

use std::{ffi::OsString, fs, path::PathBuf, time::Duration};

use clap::Command;
use tempfile::TempDir;

use super::{
    BlobsUrl, ConfigError, DatabaseUrl, Loaded, LogFormat, args, document::document, load,
    settings::SETTINGS,
};

/// A folder for files, and variables and flags to come.
struct World {
    folder: TempDir,
    environment: Vec<(OsString, OsString)>,
    flags: Vec<String>,
}

impl World {
    fn new() -> Self {
        Self {
            folder: TempDir::new().expect("a folder"),
            environment: Vec::new(),
            flags: vec!["landfall".to_owned()],
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file and names it with `--config`.
    fn file(mut self, text: &str) -> Self {
        let path = self.path("some.toml");
        fs::write(&path, text).expect("writable");
        self.flags.push(format!("--config={}", path.display()));
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    fn try_load(&self) -> Result<Loaded, ConfigError> {
        let command = Command::new("landfall").args(args());
        let matches = command
            .try_get_matches_from(&self.flags)
            .expect("the flags exist");
        load(&matches, self.environment.clone())
    }

    fn load(&self) -> Loaded {
        self.try_load().expect("a configuration")
    }

    /// The lines of the refusal, with the folder's path taken out.
    fn refusal(&self) -> Vec<String> {
        let error = self.try_load().expect_err("a refusal").to_string();
        let folder = format!("{}/", self.folder.path().display());
        error
            .lines()
            .map(|line| line.replace(&folder, ""))
            .collect()
    }
}

#[test]
fn nothing_needs_to_be_configured() {
    let config = World::new().load().config;
    assert_eq!(config.data, PathBuf::from("/var/lib/landfall"));
    assert_eq!(config.server.listen, "127.0.0.1:5000");
    assert_eq!(config.server.external_url, None);
    assert_eq!(config.server.tls_certificate, None);
    assert_eq!(config.server.max_connections, 20_000);
    assert_eq!(config.server.progress_timeout, Duration::from_mins(1));
    assert_eq!(config.server.drain_timeout, Duration::from_secs(30));
    assert_eq!(config.log.format, LogFormat::Text);
    assert_eq!(config.log.level, tracing::Level::INFO);
    let database = DatabaseUrl::Sqlite("/var/lib/landfall/landfall.db".into());
    assert_eq!(config.database.url, database);
    let blobs = BlobsUrl::Folder("/var/lib/landfall/blobs".into());
    assert_eq!(config.blobs.url, blobs);
    assert!(!config.registry.anonymous_pull);
    assert_eq!(config.registry.max_manifest_size, 8 << 20);
    assert_eq!(config.registry.max_blob_size, None);
    assert_eq!(config.registry.promise, Duration::from_hours(1));
    assert_eq!(config.registry.undo_window, Duration::from_hours(24));
    assert_eq!(config.registry.upload_lifetime, Duration::from_hours(24));
    assert_eq!(config.gc.interval, Some(Duration::from_hours(1)));
    assert_eq!(config.gc.trash_delay, Duration::from_hours(1));
    assert_eq!(config.gc.untagged_after, None);
    assert_eq!(config.audit.retention, Some(Duration::from_hours(400 * 24)));
    assert_eq!(config.token.lifetime, Duration::from_mins(5));
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let file = "[server]\nlisten = 'f:1'\nidle_timeout = '1m'\nheader_timeout = '1s'";
    let world = World::new()
        .file(file)
        .variable("LANDFALL_SERVER_LISTEN", "e:2")
        .variable("LANDFALL_SERVER_IDLE_TIMEOUT", "2m")
        .flag("--server-listen=g:3");
    let loaded = world.load();
    assert_eq!(loaded.config.server.listen, "g:3");
    assert_eq!(loaded.config.server.idle_timeout, Duration::from_mins(2));
    assert_eq!(loaded.config.server.header_timeout, Duration::from_secs(1));

    let shown = loaded.effective.to_json();
    let source = |name: &str| shown[name]["source"].as_str().expect("a source").to_owned();
    assert_eq!(source("server.listen"), "flag `--listen`");
    let variable = "environment variable `LANDFALL_SERVER_IDLE_TIMEOUT`";
    assert_eq!(source("server.idle_timeout"), variable);
    assert!(source("server.header_timeout").ends_with("some.toml` line 4"));
    assert_eq!(source("server.drain_timeout"), "default");
}

#[test]
fn every_setting_can_be_set_in_each_of_the_three_ways() {
    for setting in SETTINGS {
        let value = match setting.placeholder {
            "DIR" | "FILE" => "/tmp/x",
            "HOST:PORT" => "here:1",
            "NUMBER" => "7",
            "DURATION" => "77s",
            "SIZE" => "77MiB",
            "BOOL" => "true",
            "LIST" => match setting.name {
                "server.trusted_proxies" => "10.0.0.0/8, 192.0.2.7",
                _ => "10.0.0.0/8, hooks.internal",
            },
            "FORMAT" => "json",
            "LEVEL" => "debug",
            "URL" => match setting.name {
                "database.url" => "sqlite:///x",
                "blobs.url" => "file:///x",
                _ => "https://x/",
            },
            other => panic!("no value of {other} for {}", setting.name),
        };
        let text = match setting.name.split_once('.') {
            Some((section, key)) => format!("[{section}]\n{key} = \"{value}\""),
            None => format!("{} = \"{value}\"", setting.name),
        };
        // A certificate needs its key: load what belongs together.
        let partner = match setting.name {
            "server.tls_certificate" => Some("LANDFALL_SERVER_TLS_KEY"),
            "server.tls_key" => Some("LANDFALL_SERVER_TLS_CERTIFICATE"),
            _ => None,
        };
        let world = || match partner {
            Some(partner) => World::new().variable(partner, "/tmp/y"),
            None => World::new(),
        };
        for world in [
            world().file(&text),
            world().variable(&setting.variable(), value),
            world().flag(&format!("--{}={value}", setting.flag())),
        ] {
            let shown = world.load().effective.to_json();
            let row = &shown[setting.name];
            assert_eq!(row["value"], value, "{}", setting.name);
            assert_ne!(row["source"], "default", "{}", setting.name);
        }
    }
}

#[test]
fn the_short_flags_are_the_long_ones() {
    let world = World::new().flag("--data=/d").flag("--listen=h:1");
    let config = world.load().config;
    assert_eq!(config.data, PathBuf::from("/d"));
    assert_eq!(config.server.listen, "h:1");
    let database = DatabaseUrl::Sqlite("/d/landfall.db".into());
    assert_eq!(config.database.url, database);
}

#[test]
fn a_switch_needs_no_value() {
    let on = World::new().flag("--registry-anonymous-pull");
    assert!(on.load().config.registry.anonymous_pull);
    let off = World::new()
        .variable("LANDFALL_REGISTRY_ANONYMOUS_PULL", "1")
        .flag("--registry-anonymous-pull=no");
    assert!(!off.load().config.registry.anonymous_pull);
}

#[test]
fn toml_may_use_its_own_types() {
    let file = "[registry]\nanonymous_pull = true\nmax_blob_size = 1_000\n[gc]\ninterval = 0";
    let config = World::new().file(file).load().config;
    assert!(config.registry.anonymous_pull);
    assert_eq!(config.registry.max_blob_size, Some(1000));
    assert_eq!(config.gc.interval, None);
}

#[test]
fn the_file_in_the_data_folder_is_read_if_it_exists() {
    let world = World::new();
    let data = format!("--data={}", world.folder.path().display());
    let world = world.flag(&data);
    assert_eq!(world.load().config.log.level, tracing::Level::INFO);
    fs::write(world.path("landfall.toml"), "[log]\nlevel = 'warn'").expect("writable");
    assert_eq!(world.load().config.log.level, tracing::Level::WARN);
}

#[test]
fn the_file_can_be_named_by_the_environment() {
    let world = World::new();
    let path = world.path("other.toml");
    fs::write(&path, "data = '/from/file'").expect("writable");
    let world = world.variable("LANDFALL_CONFIG", path.to_str().expect("text"));
    assert_eq!(world.load().config.data, PathBuf::from("/from/file"));
}

#[test]
fn a_data_folder_with_odd_letters_is_found_again_in_its_urls() {
    let odd = "/a b/100%/é?#";
    let config = World::new().variable("LANDFALL_DATA", odd).load().config;
    let path = PathBuf::from(odd);
    assert_eq!(
        config.database.url,
        DatabaseUrl::Sqlite(path.join("landfall.db"))
    );
    assert_eq!(config.blobs.url, BlobsUrl::Folder(path.join("blobs")));
}

#[test]
fn unknown_keys_are_refused_with_line_and_suggestion() {
    let file = "\
data = '/x'
datum = 1
[server]
listn = 'h:1'
anonymous_pull = true
qwertyuiop = 1
[registri]
[log.level]
x = 1
";
    assert_eq!(
        World::new().file(file).refusal(),
        [
            "unknown key `datum` in `some.toml` line 2: `landfall config show` lists all keys",
            "wrong value `a TOML table` for `log.level` in `some.toml` line 8: expected `error`, `warn`, `info`, `debug` or `trace`",
            "unknown key `registri` in `some.toml` line 7: did you mean `registry`?",
            "unknown key `server.anonymous_pull` in `some.toml` line 5: did you mean `registry.anonymous_pull`?",
            "unknown key `server.listn` in `some.toml` line 4: did you mean `server.listen`?",
            "unknown key `server.qwertyuiop` in `some.toml` line 6: `landfall config show` lists all keys",
        ]
    );
}

#[test]
fn wrong_values_are_refused_with_setting_source_and_expectation() {
    let world = World::new()
        .file("[server]\nheader_timeout = '5 minutes'\n[gc]\ninterval = [1]\n")
        .variable("LANDFALL_REGISTRY_MAX_MANIFEST_SIZE", "1MiB")
        .flag("--log-format=xml");
    assert_eq!(
        world.refusal(),
        [
            "wrong value `a TOML array` for `gc.interval` in `some.toml` line 4: expected a duration, such as `30s`, `5m`, `1h` or `7d`, or `0` for never",
            "wrong value `5 minutes` for `server.header_timeout` in `some.toml` line 2: expected a duration above zero, such as `30s`, `5m`, `1h` or `7d`",
            "wrong value `xml` for `log.format` in flag `--log-format`: expected `text` or `json`",
            "wrong value `1MiB` for `registry.max_manifest_size` in environment variable `LANDFALL_REGISTRY_MAX_MANIFEST_SIZE`: expected a size of at least `4MiB`, such as `8MiB`",
        ]
    );
}

#[test]
fn a_value_that_is_overruled_is_not_looked_at() {
    let world = World::new()
        .variable("LANDFALL_LOG_LEVEL", "loud")
        .flag("--log-level=debug");
    assert_eq!(world.load().config.log.level, tracing::Level::DEBUG);
}

#[test]
fn a_section_must_be_one() {
    let world = World::new().file("server = 'h:1'");
    let line =
        "`server` in `some.toml` line 1 is a section: write `[server]` and its keys below it";
    assert_eq!(world.refusal(), [line]);
}

#[test]
fn what_is_not_toml_is_refused_with_its_line() {
    let world = World::new().file("data = '/x'\n[server\n");
    let refusal = world.refusal().join(" ");
    assert!(
        refusal.starts_with("`some.toml` line 2 is not TOML: "),
        "{refusal}"
    );
}

#[test]
fn a_named_file_must_exist() {
    let world = World::new();
    let missing = format!("--config={}", world.path("missing.toml").display());
    let error = world.flag(&missing).try_load().expect_err("a refusal");
    assert!(matches!(error, ConfigError::Read { .. }), "{error:?}");
    assert!(error.to_string().contains("missing.toml"), "{error}");
}

#[test]
fn a_certificate_needs_its_key() {
    let world = World::new().flag("--server-tls-certificate=/c");
    let line = "`server.tls_certificate` is set, `server.tls_key` is not: TLS needs both";
    assert_eq!(world.refusal(), [line]);
    let both = world.flag("--server-tls-key=/k").load().config.server;
    assert_eq!(both.tls_certificate, Some(PathBuf::from("/c")));
    assert_eq!(both.tls_key, Some(PathBuf::from("/k")));
}

#[test]
fn unknown_variables_are_warned_about() {
    let world = World::new()
        .variable("LANDFALL_SERVER_LISTN", "h:1")
        .variable("LANDFALL_FROBNICATE_EVERYTHING", "1")
        .variable("LANDFALL_ADMIN_PASSWORD", "secret")
        .variable("LANDFALL_SERVER", "http://h")
        .variable("LANDFALL_USER", "u")
        .variable("LANDFALL_PASSWORD", "p")
        .variable("LANDFALL_LOG", "debug")
        .variable("PATH", "/bin");
    let warnings: Vec<String> = world
        .load()
        .warnings
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        warnings,
        [
            "unknown environment variable `LANDFALL_SERVER_LISTN`: did you mean `LANDFALL_SERVER_LISTEN`?",
            "unknown environment variable `LANDFALL_FROBNICATE_EVERYTHING`: no setting has this name",
        ]
    );
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let world = World::new().variable("LANDFALL_LOG_LEVEL", "");
    let loaded = world.load();
    assert_eq!(loaded.effective.to_json()["log.level"]["source"], "default");
}

#[test]
fn passwords_in_urls_are_never_shown() {
    for (value, shown) in [
        ("postgres://u:hunter2@h/db", "postgres://u:***@h/db"),
        ("postgres://u@h/db?password=hunter2", "***"),
        ("postgres://u@h/db?sslpassword=hunter2", "***"),
    ] {
        let loaded = World::new().variable("LANDFALL_DATABASE_URL", value).load();
        let row = &loaded.effective.to_json()["database.url"]["value"];
        assert_eq!(row, shown);
        assert!(!loaded.effective.to_table().contains("hunter2"));
        assert!(!format!("{:?}", loaded.config).contains("hunter2"));
    }
    let loaded = World::new()
        .variable("LANDFALL_BLOBS_URL", "s3://key:hunter2@bucket?region=eu")
        .load();
    assert_eq!(
        loaded.effective.to_json()["blobs.url"]["value"],
        "s3://key:***@bucket?region=eu"
    );
    let world = World::new().variable("LANDFALL_DATABASE_URL", "mysql://u:hunter2@h/db");
    let refusal = world.refusal().join("\n");
    assert!(refusal.contains("`mysql://u:***@h/db`"), "{refusal}");
    let world = World::new().variable("LANDFALL_DATABASE_URL", "postgres://u:hunter2@h:port/db");
    let refusal = world.refusal().join("\n");
    assert!(refusal.contains("wrong value `***`"), "{refusal}");
}

#[test]
fn the_table_shows_values_and_sources() {
    let table = World::new().flag("--data=/d").load().effective.to_table();
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0], ["SETTING", "VALUE", "SOURCE"]);
    assert!(
        lines.contains(&vec!["data", "/d", "flag", "`--data`"]),
        "{table}"
    );
    assert!(
        lines.contains(&vec!["server.tls_key", "-", "default"]),
        "{table}"
    );
    assert_eq!(lines.len(), SETTINGS.len() + 1);
    let columns: Vec<_> = table
        .lines()
        .map(|line| line.find("default"))
        .skip(2)
        .collect();
    assert!(columns.windows(2).all(|pair| pair[0] == pair[1]), "{table}");
}

#[test]
fn help_tells_variable_and_default() {
    let mut command = Command::new("landfall").args(args());
    command.build();
    let long = command.render_long_help().to_string();
    let words: Vec<&str> = long.split_whitespace().collect();
    let long = words.join(" ");
    for part in [
        "--listen <HOST:PORT>",
        "LANDFALL_GC_INTERVAL",
        "default: 8MiB",
        "--server-listen",
    ] {
        assert!(long.contains(part), "no {part} in\n{long}");
    }
    let short = command.render_help().to_string();
    assert!(short.contains("--data <DIR>"), "{short}");
    assert!(!short.contains("--gc-interval"), "{short}");
    command.debug_assert();
}

/// Set to write `docs/configuration.md` instead of comparing it.
const UPDATE: &str = "UPDATE_DOCUMENTS";

#[test]
fn the_document_is_what_the_settings_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    if std::env::var_os(UPDATE).is_some() {
        fs::write(path, document()).expect("writable");
    }
    let written = fs::read_to_string(path).expect("it exists");
    assert!(written == document(), "out of date: run with {UPDATE}=1");
}
