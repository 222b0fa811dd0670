//! Logins that container clients have saved: `auth.json` of podman and
//! skopeo, `config.json` of docker, and docker's credential helpers.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Read, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::Login;

/// The largest file of logins, and the longest answer of a helper, in bytes.
const LONGEST: u64 = 4 << 20;

/// How long a helper may take.
const HELPER: Duration = Duration::from_secs(30);

/// Docker's registry in files of logins.
const HUB: &str = "docker.io";
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// Where saved logins are looked up, first match first.
#[derive(Debug, Clone, Default)]
pub struct Keychain {
    files: Vec<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Saved {
    auths: BTreeMap<String, Entry>,
    creds_store: String,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: String,
    identitytoken: String,
}

#[derive(Deserialize)]
struct Helped {
    #[serde(rename = "Username")]
    username: String,
    #[serde(rename = "Secret")]
    secret: String,
}

impl Keychain {
    /// The files that container clients use: the one of `REGISTRY_AUTH_FILE`
    /// alone, or podman's and docker's.
    pub fn of_this_user() -> Self {
        let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
        if let Some(file) = variable("REGISTRY_AUTH_FILE") {
            return Self::of_files([file.into()]);
        }
        let home = variable("HOME").map(PathBuf::from);
        let in_home = |path: &str| home.as_ref().map(|home| home.join(path));
        let config = variable("XDG_CONFIG_HOME").map(PathBuf::from);
        let docker = variable("DOCKER_CONFIG").map(PathBuf::from);
        let files = [
            variable("XDG_RUNTIME_DIR")
                .map(|folder| PathBuf::from(folder).join("containers/auth.json")),
            config
                .or_else(|| in_home(".config"))
                .map(|folder| folder.join("containers/auth.json")),
            docker
                .or_else(|| in_home(".docker"))
                .map(|folder| folder.join("config.json")),
        ];
        Self::of_files(files.into_iter().flatten())
    }

    /// These files; one that isn't there is left out.
    pub fn of_files(files: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            files: files.into_iter().collect(),
        }
    }

    /// The login for a registry, if one is saved. It may ask a helper, so it
    /// may take a while. A file or helper that can't be used gives none.
    pub(super) fn find(&self, host: &str) -> Option<Login> {
        self.files.iter().find_map(|file| {
            let mut text = String::new();
            let file = fs::File::open(file).ok()?;
            file.take(LONGEST).read_to_string(&mut text).ok()?;
            find_in(&serde_json::from_str(&text).ok()?, host)
        })
    }
}

fn find_in(saved: &Saved, host: &str) -> Option<Login> {
    let key = if host == HUB { HUB_KEY } else { host };
    if let Some(helper) = saved.cred_helpers.get(host) {
        return ask_helper(helper, key).ok()?;
    }
    let entry = saved.auths.iter().find(|(name, _)| registry(name) == host);
    let login = entry.and_then(|(_, entry)| read(entry));
    if login.is_none() && !saved.creds_store.is_empty() {
        return ask_helper(&saved.creds_store, key).ok()?;
    }
    login
}

/// The host in the key of a saved login: some are URLs, some name a
/// repository below the host.
fn registry(key: &str) -> &str {
    if key == HUB_KEY {
        return HUB;
    }
    let key = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key);
    key.split('/').next().unwrap_or(key)
}

fn read(entry: &Entry) -> Option<Login> {
    if !entry.identitytoken.is_empty() {
        return Some(Login::identity(&entry.identitytoken));
    }
    let pair = String::from_utf8(STANDARD.decode(&entry.auth).ok()?).ok()?;
    pair.trim_end_matches('\0').parse().ok()
}

/// Asks `docker-credential-<helper>` as docker does.
fn ask_helper(helper: &str, key: &str) -> io::Result<Option<Login>> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !helper.bytes().all(is_letter) {
        return Ok(None);
    }
    let mut child = Command::new(format!("docker-credential-{helper}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let said = converse(&mut child, key);
    // It has ended by itself, or has to.
    let _ = child.kill();
    child.wait()?;
    let answer: Helped = match serde_json::from_slice(&said?) {
        Ok(answer) => answer,
        Err(_) => return Ok(None),
    };
    Ok(Some(if answer.username == "<token>" {
        Login::identity(answer.secret)
    } else {
        Login::new(answer.username, answer.secret)
    }))
}

fn converse(child: &mut Child, key: &str) -> io::Result<Vec<u8>> {
    if let Some(mut input) = child.stdin.take() {
        input.write_all(key.as_bytes())?;
    }
    let output = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut answer = Vec::new();
        if let Some(output) = output {
            let _ = output.take(LONGEST).read_to_end(&mut answer);
        }
        answer
    });
    let until = Instant::now() + HELPER;
    while child.try_wait()?.is_none() {
        if Instant::now() > until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    reader.join().map_err(|_| io::ErrorKind::Other.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(text: &str, host: &str) -> Option<String> {
        let saved = serde_json::from_str(text).expect("JSON");
        find_in(&saved, host).map(|login| login.user().to_owned())
    }

    #[test]
    fn logins_are_found_by_host_whatever_form_their_key_has() {
        let pair = |user: &str| STANDARD.encode(format!("{user}:secret"));
        let text = format!(
            r#"{{"auths":{{"https://index.docker.io/v1/":{{"auth":"{}"}},
            "a.example:5000":{{"auth":"{}"}},"b.example/team":{{"auth":"{}"}},
            "c.example":{{"identitytoken":"t"}},"d.example":{{}}}}}}"#,
            pair("hub"),
            pair("a"),
            pair("b")
        );
        assert_eq!(user(&text, "docker.io").as_deref(), Some("hub"));
        assert_eq!(user(&text, "a.example:5000").as_deref(), Some("a"));
        assert_eq!(user(&text, "b.example").as_deref(), Some("b"));
        assert_eq!(user(&text, "c.example").as_deref(), Some("<token>"));
        assert_eq!(user(&text, "d.example"), None);
        assert_eq!(user(&text, "a.example"), None);
    }

    #[test]
    fn a_helper_whose_name_is_a_path_is_not_run() {
        let text = r#"{"credHelpers":{"a.example":"../../bin/sh"}}"#;
        assert_eq!(user(text, "a.example"), None);
    }
}
