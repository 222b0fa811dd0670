//! The keys that all servers on one database share.
//!
//! The keys that sign tokens lie in the database, sealed under the master key,
//! so that a token of one server is good on the others. The first server that
//! starts makes the first one; of two at once, one row wins, and both use it.
//! The database also knows the fingerprint of its master key: a server that has
//! another one could neither open what is sealed nor seal anything that others
//! open, so it is refused before it serves.
//!
//! How keys follow each other is told in [`rotation`].

mod ring;
mod rotation;

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use landfall_clock::{Clock, Timestamp};
use landfall_database::Database;
use landfall_seal::MasterKey;
use zeroize::Zeroizing;

pub(crate) use self::ring::{Key, KeyRing};
pub use self::rotation::SigningKey;
use self::rotation::{make, stored};
use crate::{Error, store};

/// What the one key of an earlier version is sealed for.
const EARLIER_PURPOSE: &str = "token signing key";
/// The file of the signing key in the folder of keys, up to version 0.1.
const EARLIER_FILE: &str = "token-signing.pk8";

/// The fingerprint of the master key that this database's secrets are sealed
/// under; `None` before the first start.
pub async fn master_key_known(database: &Database) -> Result<Option<String>, Error> {
    Ok(database.read(store::keys::master_key_find).await?)
}

/// Makes this the master key of the database, if it has none yet.
/// [`Error::MasterKey`] if it has another one.
pub async fn master_key_claim(
    database: &Database,
    master: &MasterKey,
    clock: &dyn Clock,
) -> Result<(), Error> {
    let (ours, now) = (master.fingerprint().to_string(), clock.now());
    let claimed = ours.clone();
    let known = database
        .write(move |tx| store::keys::master_key_ensure(tx, &claimed, now))
        .await?;
    if known == ours {
        return Ok(());
    }
    Err(Error::MasterKey { known, ours })
}

/// Forgets the master key and what is sealed under it here: the next start has
/// a new key for tokens.
pub async fn master_key_forget(database: &Database) -> Result<(), Error> {
    Ok(database.write(store::keys::master_key_forget).await?)
}

/// Sees to it that there is a key that signs tokens. One that an earlier
/// version has kept in the database, or in a file of the folder `earlier`, is
/// taken over.
pub(crate) async fn signing_key_ensure(
    database: &Database,
    master: &MasterKey,
    earlier: &Path,
    now: Timestamp,
) -> Result<(), Error> {
    let (keys, sealed) = database
        .read(|tx| {
            let keys = store::keys::signing_key_list(tx)?;
            Ok::<_, landfall_database::Error>((keys, store::keys::token_key_find(tx)?))
        })
        .await?;
    if !keys.is_empty() {
        return Ok(());
    }
    let file = earlier.join(EARLIER_FILE);
    let (pkcs8, of_file) = match (sealed, fs::read(&file)) {
        (Some(sealed), _) => {
            let opened = master.open(EARLIER_PURPOSE, &sealed);
            (opened.map_err(Error::Sealed)?, false)
        }
        (None, Ok(pkcs8)) => (Zeroizing::new(pkcs8), true),
        (None, Err(error)) if error.kind() == io::ErrorKind::NotFound => (make()?, false),
        (None, Err(error)) => {
            return Err(Error::Key(format!("`{}`: {error}", file.display())));
        }
    };
    let first = stored(master, &pkcs8, now, now)?;
    let public = first.public.clone();
    database
        .write(move |tx| store::keys::signing_key_ensure(tx, &first))
        .await?;
    let kept = database.read(store::keys::signing_key_list).await?;
    if of_file && kept.iter().any(|key| key.public == public) {
        remove(&file, earlier);
    }
    Ok(())
}

/// Removes the file of an earlier version, whose key is in the database now.
fn remove(file: &Path, folder: &Path) {
    match fs::remove_file(file).and_then(|()| File::open(folder)?.sync_all()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, file = %file.display(), "an old key can't be removed");
        }
        _ => {}
    }
}
