//! The table `pin`.

use landfall_clock::Timestamp;
use landfall_database::{Result, WriteTransaction, params};
use landfall_ids::ManifestId;
use landfall_oci::{Digest, RepositoryName};

/// Sets a pin, or makes one last longer.
pub(crate) fn pin_upsert(
    tx: &WriteTransaction<'_>,
    owner: &str,
    manifest: ManifestId,
    until: Timestamp,
) -> Result<()> {
    tx.execute(
        "insert into pin(owner, manifest, until) values (?1, ?2, ?3)
         on conflict (owner, manifest) do update set until =
           case when pin.until < excluded.until then excluded.until else pin.until end",
        params![owner, manifest, until],
    )?;
    Ok(())
}

/// Takes a pin away; `false` if there is none. The time of a manifest without
/// roots counts from now.
pub(crate) fn pin_delete(
    tx: &WriteTransaction<'_>,
    name: &RepositoryName,
    digest: &Digest,
    owner: &str,
    now: Timestamp,
) -> Result<bool> {
    let manifest: Option<ManifestId> = tx.first(
        "delete from pin where owner = ?3 and manifest in
           (select m.id from repository r join manifest m on m.repository = r.id
            where r.name = ?1 and r.deleted is null and m.digest = ?2)
         returning manifest",
        params![name.as_str(), digest.to_string(), owner],
        |row| row.get(0),
    )?;
    if let Some(manifest) = manifest {
        tx.execute(
            "update manifest set held_until = ?2 where id = ?1",
            params![manifest, now],
        )?;
    }
    Ok(manifest.is_some())
}

/// Forgets pins that have ended.
pub(crate) fn pins_expire(tx: &WriteTransaction<'_>, now: Timestamp) -> Result<u64> {
    tx.execute(
        "update manifest set held_until = ?1
         where id in (select manifest from pin where until <= ?1)",
        params![now],
    )?;
    tx.execute("delete from pin where until <= ?1", params![now])
}
