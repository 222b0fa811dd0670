//! The keys that all servers on one database share.
//!
//! The key that signs tokens lies in the database, sealed under the master
//! key, so that a token of one server is good on the others. The first server
//! that starts makes it; of two at once, one row wins, and both use that one.
//! The database also knows the fingerprint of its master key: a server that has
//! another one could neither open what is sealed nor seal anything that others
//! open, so it is refused before it serves.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use aws_lc_rs::{rand::SystemRandom, signature::Ed25519KeyPair};
use landfall_clock::{Clock, Timestamp};
use landfall_database::Database;
use landfall_seal::MasterKey;
use zeroize::Zeroizing;

use crate::{Error, store};

/// What the signing key is sealed for.
const PURPOSE: &str = "token signing key";
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

/// The key that signs tokens, as PKCS #8. `earlier` is the folder where an
/// earlier version has kept it: that one is taken over.
pub(crate) async fn token_key_ensure(
    database: &Database,
    master: &MasterKey,
    earlier: &Path,
    now: Timestamp,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let opened = |sealed: Vec<u8>| master.open(PURPOSE, &sealed).map_err(Error::Sealed);
    let known = database.read(store::keys::token_key_find).await?;
    if let Some(sealed) = known {
        return opened(sealed);
    }
    let file = earlier.join(EARLIER_FILE);
    let pkcs8 = match fs::read(&file) {
        Ok(pkcs8) => Zeroizing::new(pkcs8),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
                .map_err(|error| Error::Key(error.to_string()))?;
            Zeroizing::new(made.as_ref().to_vec())
        }
        Err(error) => return Err(Error::Key(format!("`{}`: {error}", file.display()))),
    };
    let sealed = master.seal(PURPOSE, &pkcs8);
    let kept = database
        .write(move |tx| store::keys::token_key_ensure(tx, &sealed, now))
        .await?;
    let key = opened(kept)?;
    if *key == *pkcs8 {
        remove(&file, earlier);
    }
    Ok(key)
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
