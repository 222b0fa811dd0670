//! `landfall login`, `landfall logout`, and the credential helper.

use std::{
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, fs::symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Ran, World, landfall};
use crate::server::PASSWORD;

/// Somebody with a folder of configuration of their own.
struct Somebody {
    world: World,
    folder: TempDir,
}

impl Somebody {
    fn start() -> Self {
        Self {
            world: World::start(),
            folder: tempfile::tempdir().expect("scratch directory"),
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("landfall/credentials.json")
    }

    /// What is kept of the login at the server.
    fn kept(&self) -> Value {
        let text = std::fs::read_to_string(self.file()).expect("kept logins");
        let kept: Value = serde_json::from_str(&text).expect("JSON");
        kept["servers"][self.world.server.host()].clone()
    }

    /// Changes what is kept of it.
    fn change(&self, field: &str, value: Value) {
        let text = std::fs::read_to_string(self.file()).expect("kept logins");
        let mut kept: Value = serde_json::from_str(&text).expect("JSON");
        kept["servers"][self.world.server.host()][field] = value;
        std::fs::write(self.file(), kept.to_string()).expect("writable");
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = landfall(words);
        command.env("XDG_CONFIG_HOME", self.folder.path());
        command
    }

    /// Runs a command without a password, with something on standard input.
    fn run(&self, words: &[&str], input: &str) -> Ran {
        ran(&mut self.command(words), input)
    }

    /// Logs in with this secret.
    fn log_in(&self, secret: &str) -> Ran {
        let url = self.world.server.url.as_str();
        self.run(&["login", "--password-stdin", url], secret)
    }

    /// The credential helper under its own name.
    fn helper(&self, action: &str, input: &str) -> Ran {
        let link = self.folder.path().join("docker-credential-landfall");
        if !link.exists() {
            symlink(Path::new(env!("CARGO_BIN_EXE_landfall")), &link).expect("a link");
        }
        let mut command = Command::new(link);
        command
            .arg(action)
            .env("XDG_CONFIG_HOME", self.folder.path());
        ran(&mut command, input)
    }

    /// What the server answers to a bearer of this secret.
    async fn status(&self, secret: &str) -> u16 {
        let session = &self.world.session;
        let request = session.anonymous(Method::GET, "/api/v1/repositories");
        let sent = request.bearer_auth(secret).send().await;
        sent.expect("answer").status().as_u16()
    }

    /// An API key of the administrator.
    async fn api_key(&self) -> String {
        let path = "/api/v1/principals/~/api-keys";
        let request = self.world.session.request(Method::POST, path);
        let made = request.json(&json!({ "description": "a test" })).send();
        let made: Value = made.await.expect("answer").json().await.expect("JSON");
        made["key"].as_str().expect("a key").to_owned()
    }
}

fn ran(command: &mut Command, input: &str) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // It may end before it has read anything.
    let _ = child
        .stdin
        .take()
        .expect("piped")
        .write_all(input.as_bytes());
    child.wait_with_output().expect("it ends").into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_kept_as_a_token_and_used_without_naming_the_server() {
    let somebody = Somebody::start();
    let told = somebody.log_in(&format!("{PASSWORD}\n")).ok();
    assert!(told.starts_with("logged in at http://127.0.0.1:"), "{told}");
    assert!(told.contains(" as admin, until 20"), "{told}");
    let text = std::fs::read_to_string(somebody.file()).expect("kept logins");
    assert!(!text.contains(PASSWORD), "the password is kept: {text}");
    assert_eq!(somebody.kept()["kind"], "authorization_token");
    let mode = std::fs::metadata(somebody.file()).expect("metadata");
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    assert_eq!(
        somebody.run(&["repo", "list", "-o", "json"], "").ok(),
        "[]\n"
    );

    // Somebody else than who logged in is not that one.
    let url = somebody.world.server.url.as_str();
    let words = ["repo", "list", "--server", url, "--user", "acme/bob"];
    let error = somebody.run(&words, "").error();
    assert!(
        error.contains("`landfall login http://127.0.0.1:"),
        "{error}"
    );

    let told = somebody.run(&["logout"], "").ok();
    assert!(
        told.starts_with("logged out at http://127.0.0.1:"),
        "{told}"
    );
    assert_eq!(somebody.kept(), Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_keeps_nothing_and_a_login_that_ended_says_how_to_get_another() {
    let somebody = Somebody::start();
    somebody.log_in("wrong").error();
    assert!(!somebody.file().exists(), "something was kept");
    somebody.log_in("").error();

    somebody.log_in(PASSWORD).ok();
    let token = somebody.kept()["secret"].as_str().expect("text").to_owned();
    somebody.change("expires", json!("2026-01-01T00:00:00Z"));
    let url = &somebody.world.server.url;
    let expected =
        format!("the login at {url} has ended at 2026-01-01T00:00:00Z; run `landfall login {url}`");
    let list = ["repo", "list", "--server", url.as_str()];
    assert_eq!(somebody.run(&list, "").error(), expected);
    let told = somebody.helper("get", somebody.world.server.host());
    assert_eq!((told.code, told.stdout.trim()), (1, expected.as_str()));

    // One that was ended at the server, before its time.
    somebody.log_in(PASSWORD).ok();
    let secret = somebody.kept()["secret"].clone();
    assert_ne!(secret, token);
    let id = somebody.kept()["id"].as_str().expect("an id").to_owned();
    somebody.world.run(&["token", "revoke", &id]).ok();
    let error = somebody.run(&list, "").error();
    assert!(error.contains("is not good any more"), "{error}");
    assert!(
        error.contains(&format!("`landfall login {url}`")),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_logout_revokes_the_token_and_leaves_an_api_key_alone() {
    let somebody = Somebody::start();
    somebody.log_in(PASSWORD).ok();
    let token = somebody.kept()["secret"].as_str().expect("text").to_owned();
    assert_eq!(somebody.status(&token).await, 200);
    let ended = somebody.run(&["logout"], "");
    assert_eq!(ended.stderr, "", "it was not revoked");
    ended.ok();
    assert_eq!(somebody.status(&token).await, 401);

    let key = somebody.api_key().await;
    somebody.log_in(&key).ok();
    assert_eq!(somebody.kept()["kind"], "api_key");
    somebody.run(&["repo", "list"], "").ok();
    somebody.run(&["logout", "--all"], "").ok();
    assert_eq!(somebody.status(&key).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_erased_or_replaced_is_revoked() {
    let somebody = Somebody::start();
    let host = somebody.world.server.host().to_owned();
    let store = json!({ "ServerURL": host, "Username": "admin", "Secret": PASSWORD }).to_string();
    let log_in = || somebody.log_in(PASSWORD);
    let steps: [(&str, &dyn Fn() -> Ran); 3] = [
        ("login", &log_in),
        ("store", &|| somebody.helper("store", &store)),
        ("erase", &|| somebody.helper("erase", &host)),
    ];
    log_in().ok();
    for (name, step) in steps {
        let token = somebody.kept()["secret"].as_str().expect("text").to_owned();
        assert_eq!(somebody.status(&token).await, 200, "before {name}");
        let done = step();
        assert_eq!(done.stderr, "", "{name}");
        done.ok();
        assert_eq!(somebody.status(&token).await, 401, "after {name}");
    }

    // The same token again takes its own place, and stays good.
    log_in().ok();
    let token = somebody.kept()["secret"].as_str().expect("text").to_owned();
    somebody.log_in(&token).ok();
    assert_eq!(somebody.status(&token).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_helper_speaks_dockers_protocol_and_hands_out_no_api_key() {
    let somebody = Somebody::start();
    let host = somebody.world.server.host().to_owned();
    let missing = somebody.helper("get", &host);
    let not_found = "credentials not found in native keychain\n";
    assert_eq!((missing.code, missing.stdout.as_str()), (1, not_found));
    assert_eq!(somebody.helper("list", "").json(), json!({}));

    let key = somebody.api_key().await;
    somebody.log_in(&key).ok();
    let secrets: Vec<String> = [host.clone(), format!("https://{host}/v1/")]
        .iter()
        .map(|server| {
            let got = somebody.helper("get", server).json();
            assert_eq!(got["ServerURL"], server.as_str());
            assert_eq!(got["Username"], "token");
            got["Secret"].as_str().expect("a secret").to_owned()
        })
        .collect();
    assert_ne!(secrets[0], secrets[1], "a token is made each time");
    assert!(!secrets.contains(&key), "the key was handed out");
    let mut listed = serde_json::Map::new();
    listed.insert(host.clone(), json!("admin"));
    assert_eq!(somebody.helper("list", "").json(), Value::Object(listed));

    // What docker was given is kept as a token.
    let store = json!({ "ServerURL": host, "Username": "admin", "Secret": PASSWORD });
    somebody.helper("store", &store.to_string()).ok();
    assert_eq!(somebody.kept()["kind"], "authorization_token");
    let wrong = json!({ "ServerURL": host, "Username": "admin", "Secret": "wrong" });
    let refused = somebody.helper("store", &wrong.to_string());
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stdout.contains("no login at"), "{refused:?}");
    somebody.helper("get", &host).ok();

    somebody.helper("erase", &host).ok();
    assert_eq!(somebody.helper("get", &host).stdout, not_found);
    let words = ["credential-helper", "list"];
    assert_eq!(somebody.run(&words, "").json(), json!({}));
}

#[test]
fn a_password_is_typed_without_being_shown() {
    let somebody = Somebody::start();
    let url = &somebody.world.server.url;
    let program = env!("CARGO_BIN_EXE_landfall");
    // `script` gives the program a terminal of its own.
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command"])
        .arg(format!("{program} login --user admin {url}"))
        .arg("/dev/null")
        .env_remove("LANDFALL_PASSWORD")
        .env("XDG_CONFIG_HOME", somebody.folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script, of the Debian package `bsdutils`, starts");
    let mut terminal = child.stdout.take().expect("piped");
    let mut shown = Vec::new();
    while !String::from_utf8_lossy(&shown).contains("token: ") {
        let mut byte = [0];
        assert_eq!(terminal.read(&mut byte).expect("read"), 1, "it ended");
        shown.push(byte[0]);
    }
    let mut keyboard = child.stdin.take().expect("piped");
    writeln!(keyboard, "{PASSWORD}").expect("typed");
    terminal.read_to_end(&mut shown).expect("read");
    assert!(child.wait().expect("it ends").success());
    let shown = String::from_utf8_lossy(&shown);
    assert!(!shown.contains(PASSWORD), "{shown}");
    assert!(shown.contains("logged in at"), "{shown}");
    assert_eq!(somebody.kept()["user"], "admin");
}
