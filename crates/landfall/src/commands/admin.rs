//! `landfall admin`: on the server's machine, while the server runs or not.

use anyhow::{Result, bail};
use landfall_clock::SystemClock;
use landfall_identity::{LocalName, Secret, password_reset};
use serde_json::json;

use super::principal::first_line;
use crate::{
    cli::Format,
    config::{Config, DatabaseUrl},
    output, serve,
};

/// Gives a user a new password, straight on the database.
pub(super) async fn reset_password(
    config: &Config,
    user: &str,
    password_stdin: bool,
    format: Format,
) -> Result<()> {
    let name: LocalName = user.parse()?;
    if let DatabaseUrl::Sqlite(path) = &config.database.url
        && !path.exists()
    {
        bail!(
            "there is no metadata database `{}`; give the server's settings, such as `--data`",
            path.display()
        );
    }
    let given = if password_stdin {
        Some(Secret::new(first_line()?))
    } else {
        None
    };
    let database = serve::open_database(config).await?;
    let reset = password_reset(&database, &SystemClock, &name, given).await?;
    let password = reset.password.as_ref().map(Secret::reveal);
    if format == Format::Json {
        output::json(&json!({
            "name": name.to_string(),
            "password": password,
            "enabled_again": reset.enabled,
        }));
        return Ok(());
    }
    if reset.enabled {
        output::warn(&format!("{name} was disabled, and is enabled now"));
    }
    match password {
        Some(password) => {
            output::line(password);
            output::warn(&format!(
                "the new password of {name}; it is shown this once"
            ));
        }
        None => output::warn(&format!("{name} has a new password")),
    }
    Ok(())
}
