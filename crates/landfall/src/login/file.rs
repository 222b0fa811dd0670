//! The file of logins: `landfall/credentials.json` below the user's folder of
//! configuration.
//!
//! Only its owner can read it, and a file that others can read is refused. It
//! is replaced as a whole: whoever reads it sees the old one or the new one,
//! also after a crash. Who changes it holds a lock, so that two logins at once
//! are both kept.

use std::{
    collections::BTreeMap,
    env, fs,
    fs::{DirBuilder, File},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::{SavedLogin, authority};

/// The largest file that is read, in bytes.
const LARGEST: u64 = 4 << 20;
/// Permissions of the file, and of its folder.
const OWN_FILE: u32 = 0o600;
const OWN_FOLDER: u32 = 0o700;
/// What others may not have.
const OTHERS: u32 = 0o077;

/// All logins of a user.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Logins {
    /// The server that was logged in to last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    /// By host and port.
    #[serde(default)]
    servers: BTreeMap<String, SavedLogin>,
}

impl Logins {
    /// The login at a host, named as in an image's name or a URL.
    pub(crate) fn at(&self, host: &str) -> Option<&SavedLogin> {
        self.servers.get(host)
    }

    /// The login at a server, if it was reached by this URL. One that was made
    /// over TLS is not sent without.
    pub(crate) fn of(&self, url: &Url) -> Option<&SavedLogin> {
        let login = self.at(&authority(url))?;
        (login.url.origin() == url.origin()).then_some(login)
    }

    /// The login that was made last.
    pub(crate) fn current(&self) -> Option<&SavedLogin> {
        self.at(self.current.as_deref()?)
    }

    /// Every one of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &SavedLogin)> {
        let all = self.servers.iter();
        all.map(|(host, login)| (host.as_str(), login))
    }

    /// Keeps a login in the place of the one at the same server, which is
    /// given back, and makes the server the current one.
    pub(crate) fn keep(&mut self, login: SavedLogin) -> Option<SavedLogin> {
        self.current = Some(authority(&login.url));
        self.keep_beside(login)
    }

    /// Keeps a login in the place of the one at the same server, which is
    /// given back.
    pub(crate) fn keep_beside(&mut self, login: SavedLogin) -> Option<SavedLogin> {
        self.servers.insert(authority(&login.url), login)
    }

    /// Forgets the login at a host.
    pub(crate) fn forget(&mut self, host: &str) -> Option<SavedLogin> {
        if self.current.as_deref() == Some(host) {
            self.current = None;
        }
        self.servers.remove(host)
    }
}

/// Where logins are kept.
#[derive(Debug, Clone)]
pub(crate) struct LoginsFile {
    path: PathBuf,
}

impl LoginsFile {
    /// The file of the user who runs this; none where they have no folder.
    pub(crate) fn of_this_user() -> Option<Self> {
        let folder = |name: &str| {
            let value = env::var_os(name).map(PathBuf::from);
            value.filter(|path| path.is_absolute())
        };
        let configuration =
            folder("XDG_CONFIG_HOME").or_else(|| folder("HOME").map(|home| home.join(".config")));
        configuration.map(|folder| Self {
            path: folder.join("landfall/credentials.json"),
        })
    }

    /// As [`LoginsFile::of_this_user`], for who needs one.
    pub(crate) fn needed() -> Result<Self> {
        Self::of_this_user()
            .context("there is no folder to keep the login in; set HOME or XDG_CONFIG_HOME to one")
    }

    /// What is kept; nothing where there is no file.
    pub(crate) fn read(&self) -> Result<Logins> {
        let shown = self.path.display();
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Ok(Logins::default()),
            Err(error) => {
                return Err(error).with_context(|| format!("`{shown}` can't be read"));
            }
        };
        let mode = file.metadata()?.permissions().mode();
        if mode & OTHERS != 0 {
            bail!("others can read the logins in `{shown}`; run `chmod 600 {shown}`");
        }
        let mut text = String::new();
        file.take(LARGEST)
            .read_to_string(&mut text)
            .with_context(|| format!("`{shown}` can't be read"))?;
        serde_json::from_str(&text)
            .with_context(|| format!("`{shown}` holds no logins; remove it, and log in again"))
    }

    /// Changes what is kept, all or nothing.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Logins) -> T) -> Result<T> {
        let shown = self.path.display();
        let unwritable = || format!("`{shown}` can't be written");
        let folder = self.path.parent().unwrap_or(Path::new("."));
        DirBuilder::new()
            .recursive(true)
            .mode(OWN_FOLDER)
            .create(folder)
            .with_context(unwritable)?;
        let lock = own(&folder.join("credentials.lock"), false).with_context(unwritable)?;
        // Held until this returns, and gone with the process.
        lock.lock().with_context(unwritable)?;
        let mut logins = self.read()?;
        let changed = change(&mut logins);
        let text = serde_json::to_vec_pretty(&logins)?;
        self.replace(folder, &text).with_context(unwritable)?;
        Ok(changed)
    }

    fn replace(&self, folder: &Path, text: &[u8]) -> io::Result<()> {
        // Under the lock, nobody else has this name; a crash may have left it.
        let new = folder.join("credentials.new");
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = own(&new, true)?;
        file.write_all(text)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        File::open(folder)?.sync_all()
    }
}

/// Opens a file for its owner alone.
fn own(path: &Path, new: bool) -> io::Result<File> {
    File::options()
        .write(true)
        .create(!new)
        .create_new(new)
        .truncate(false)
        .mode(OWN_FILE)
        .open(path)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use landfall_identity::Secret;

    use super::super::{Kind, server_url};
    use super::*;

    fn login(url: &str, user: &str) -> SavedLogin {
        SavedLogin {
            url: server_url(url).expect("a URL"),
            user: user.to_owned(),
            kind: Kind::AuthorizationToken,
            secret: Secret::new("a secret"),
            id: Some("1".to_owned()),
            expires: None,
            ca_certificate: None,
        }
    }

    fn scratch() -> (tempfile::TempDir, LoginsFile) {
        let folder = tempfile::tempdir().expect("scratch directory");
        let path = folder.path().join("below/landfall/credentials.json");
        (folder, LoginsFile { path })
    }

    #[test]
    fn what_is_kept_is_read_back_and_only_its_owner_can_read_it() {
        let (_folder, file) = scratch();
        assert!(file.read().expect("logins").current().is_none());
        let keep = |url: &str, user: &str| {
            let login = login(url, user);
            file.change(|logins| logins.keep(login)).expect("kept");
        };
        keep("https://one.example", "acme/alice");
        keep("two.example:5000", "bob");
        let mode = |path: &Path| {
            let metadata = fs::metadata(path).expect("metadata");
            metadata.permissions().mode() & 0o777
        };
        assert_eq!(mode(&file.path), OWN_FILE);
        assert_eq!(mode(file.path.parent().expect("a folder")), OWN_FOLDER);
        let logins = file.read().expect("logins");
        assert_eq!(logins.current().expect("current").user, "bob");
        assert_eq!(logins.at("one.example").expect("one").user, "acme/alice");
        let plain = server_url("http://one.example").expect("a URL");
        assert!(logins.of(&plain).is_none(), "sent without TLS");

        file.change(|logins| logins.forget("two.example:5000"))
            .expect("changed");
        let logins = file.read().expect("logins");
        assert!(logins.current().is_none());
        assert_eq!(logins.all().count(), 1);
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_way_out() {
        let (_folder, file) = scratch();
        file.change(|logins| logins.keep(login("one.example", "a")))
            .expect("kept");
        fs::set_permissions(&file.path, fs::Permissions::from_mode(0o644)).expect("mode");
        let error = file.read().expect_err("it was read").to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn logins_at_once_are_all_kept() {
        let (_folder, file) = scratch();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let file = &file;
                scope.spawn(move || {
                    let login = login(&format!("{number}.example"), "a");
                    file.change(|logins| logins.keep(login)).expect("kept");
                });
            }
        });
        assert_eq!(file.read().expect("logins").all().count(), 8);
    }
}
