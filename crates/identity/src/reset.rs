//! A new password for somebody who can't log in, straight on the database: for
//! whoever has the server's machine. Servers that run see it with the next
//! epoch.

use landfall_clock::Clock;
use landfall_database::{Database, epoch};
use landfall_ids::AuditId;

use crate::{AuditEvent, Caller, Error, LocalName, PrincipalKind, Secret, audit, password, store};

/// What [`password_reset`] did.
#[derive(Debug)]
pub struct PasswordReset {
    /// The password, if it was made up: it is told this once.
    pub password: Option<Secret>,
    /// Whether the user was disabled, and is enabled now.
    pub enabled: bool,
}

/// Gives a user a new password, the given one or one that is made up; enables
/// it if it was disabled, and ends its tokens. The audit log tells of it.
pub async fn password_reset(
    database: &Database,
    clock: &dyn Clock,
    name: &LocalName,
    given: Option<Secret>,
) -> Result<PasswordReset, Error> {
    let (password, told) = if let Some(password) = given {
        (password, None)
    } else {
        let password = password::made_up();
        (password.clone(), Some(password))
    };
    let hash = password::hash(password).await?;
    let now = clock.now();
    let name = name.clone();
    let event = AuditEvent::new(
        &Caller::ANONYMOUS,
        "principal.reset-password",
        "principal",
        name.to_string(),
    )
    .account(name.account())
    .detail("on the server's machine");
    let reset = database.write(move |tx| {
        let found = store::principals::principal_find(tx, &name)?;
        let found = found.ok_or_else(|| Error::not_found("principal", &name))?;
        let (id, kind) = (found.principal.id, found.principal.kind);
        if kind != PrincipalKind::User {
            return Err(Error::invalid(format!(
                "`{name}` is a {kind}, which has no password; make an API key for it"
            )));
        }
        if !store::principals::principal_set_password(tx, id, &hash)? {
            return Err(Error::not_found("principal", &name));
        }
        store::principals::principal_enable(tx, id, true)?;
        let row = audit::row(
            event.clone().id(id),
            AuditId::new_at(now.unix_micros()),
            now,
        );
        store::audit::audit_insert(tx, &[row])?;
        store::tokens::principal_tokens_end(tx, id)?;
        epoch::bump(tx, epoch::ACCESS)?;
        Ok::<_, Error>(!found.enabled)
    });
    Ok(PasswordReset {
        enabled: reset.await?,
        password: told,
    })
}
