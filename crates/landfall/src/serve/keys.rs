//! The master key: out of the environment, or out of its file.
//!
//! A file is made only for a database that has no master key yet. For another
//! one a new key would be of no use: what is sealed there needs the old one.

use std::{env::VarError, path::PathBuf, sync::Arc};

use anyhow::{Result, bail};
use landfall_clock::Clock;
use landfall_database::Database;
use landfall_identity::{master_key_claim, master_key_known};
use landfall_seal::MasterKey;

use crate::config::Config;

/// The folder of keys in the data folder.
pub(super) const FOLDER: &str = "keys";
const FILE: &str = "master";
/// The variable with the key itself.
const VARIABLE: &str = "LANDFALL_MASTER_KEY";

/// Where the file of the master key is.
fn file(config: &Config) -> PathBuf {
    let named = config.keys.master_file.clone();
    named.unwrap_or_else(|| config.data.join(FOLDER).join(FILE))
}

/// The master key that this server was given, if any.
fn given(config: &Config) -> Result<Option<MasterKey>> {
    match std::env::var(VARIABLE) {
        Ok(digits) if !digits.is_empty() => {
            Ok(Some(MasterKey::parse(&digits, &format!("`{VARIABLE}`"))?))
        }
        Err(VarError::NotUnicode(_)) => bail!("`{VARIABLE}` is not UTF-8"),
        _ => Ok(MasterKey::load(&file(config))?),
    }
}

/// The master key of a database. The first start makes one.
pub(super) async fn master_key(
    config: &Config,
    database: &Database,
    clock: &dyn Clock,
) -> Result<Arc<MasterKey>> {
    let key = match (given(config)?, master_key_known(database).await?) {
        (Some(key), _) => key,
        (None, None) => MasterKey::create(&file(config))?,
        (None, Some(known)) => bail!(missing(config, &known)),
    };
    master_key_claim(database, &key, clock).await?;
    Ok(Arc::new(key))
}

/// Whether this server could open the secrets of a database that it is to get.
pub(crate) async fn check_master_key(config: &Config, database: &Database) -> Result<()> {
    let Some(known) = master_key_known(database).await? else {
        return Ok(());
    };
    let way_out = "or do without those secrets by `--forget-secrets`";
    match given(config)? {
        Some(key) if key.fingerprint().to_string() == known => Ok(()),
        Some(key) => bail!(
            "the secrets in the backup are sealed under the master key {known}, and this server \
             has {}; give it that key, {way_out}",
            key.fingerprint()
        ),
        None => bail!("{}, {way_out}", missing(config, &known)),
    }
}

/// What to say where a database's master key is not there.
fn missing(config: &Config, known: &str) -> String {
    format!(
        "the secrets in the metadata database are sealed under the master key {known}, and \
         `{}` is not there; copy it from another server or from your backup, or set \
         `{VARIABLE}`",
        file(config).display()
    )
}
