//! What is true of the tables and the files at any time, whatever went before.

use std::{collections::BTreeSet, time::Duration};

use landfall_database::Kind;
use landfall_registry::FsckOptions;

use crate::world::{TRASH, UNDO, UPLOADS, World};

/// Statements that must find nothing, and what it would mean if they did.
const NEVER: [(&str, &str); 11] = [
    (
        "a blob's location is in the trash",
        "select b.location from blob b join trash t on t.location = b.location",
    ),
    (
        "no candidate will ever free this blob, which has no link",
        "select b.digest from blob b
         where not exists (select 1 from repository_blob l where l.digest = b.digest)
           and not exists (select 1 from candidate c where c.digest = b.digest)",
    ),
    (
        "no candidate is due when the promise of this link has ended",
        "select l.digest from repository_blob l
         where not exists (select 1 from manifest_blob m
                           where m.repository = l.repository and m.digest = l.digest)
           and not exists (select 1 from candidate c
                           where c.digest = l.digest and c.due >= l.keep_until)",
    ),
    (
        "a tag points at a manifest that is hidden, or of another repository",
        "select t.name from tag t join manifest m on m.id = t.manifest
         where m.deleted is not null or m.repository <> t.repository",
    ),
    (
        "the last that is known of a tag is not where it points",
        "select t.name from tag t join manifest m on m.id = t.manifest
         where not exists (
           select 1 from tag_history h
           where h.repository = t.repository and h.name = t.name and h.digest_after = m.digest
             and not exists (select 1 from tag_history l
                             where l.repository = h.repository and l.name = h.name
                               and l.number > h.number))",
    ),
    (
        "a tag is gone, and its history does not know",
        "select h.name from tag_history h
         join repository r on r.id = h.repository
         where r.deleted is null and h.digest_after is not null
           and not exists (select 1 from tag_history l
                           where l.repository = h.repository and l.name = h.name
                             and l.number > h.number)
           and not exists (select 1 from tag t
                           where t.repository = h.repository and t.name = h.name)",
    ),
    (
        "a hidden repository never goes",
        "select name from repository where (deleted is null) <> (purge_due is null)",
    ),
    (
        "a hidden manifest is never purged",
        "select digest from manifest where (deleted is null) <> (purge_due is null)",
    ),
    (
        "a manifest that can be seen needs a blob whose link is hidden",
        "select l.digest from repository_blob l
         join manifest_blob mb on mb.repository = l.repository and mb.digest = l.digest
         join manifest m on m.id = mb.manifest
         where m.deleted is null and l.deleted is not null",
    ),
    (
        "two repositories that can be seen have one name",
        "select name from repository where deleted is null group by name having count(*) > 1",
    ),
    (
        "a row refers to nothing",
        "select \"table\" from pragma_foreign_key_check",
    ),
];

/// The tables that are empty when everything was deleted and collected.
pub(crate) const TABLES: [&str; 13] = [
    "repository",
    "blob",
    "repository_blob",
    "manifest",
    "manifest_blob",
    "manifest_child",
    "tag",
    "tag_history",
    "repository_usage",
    "pin",
    "upload",
    "candidate",
    "trash",
];

impl World {
    /// Panics if the tables contradict each other.
    pub(crate) async fn tables_agree(&self) {
        for (meaning, sql) in NEVER {
            if sql.contains("pragma") && self.database.kind() == Kind::Postgres {
                // Where foreign keys can't be switched off.
                continue;
            }
            let found = self.texts(sql).await;
            assert!(found.is_empty(), "{meaning}: {found:?}");
        }
    }

    /// Panics if a blob's file is missing or has another size, or if a file is
    /// there that no row names. For a world where nothing was damaged, and
    /// nothing was cut off.
    pub(crate) async fn files_are_those_of_the_rows(&self) {
        let rows = self
            .texts("select location from blob union all select location from trash")
            .await;
        let named: BTreeSet<_> = rows.iter().map(|location| self.file(location)).collect();
        let there: BTreeSet<_> = self.files("blobs").into_iter().collect();
        assert_eq!(named, there, "rows on the left, files on the right");
        self.rows_have_files().await;
    }

    /// Panics if the file of a blob is missing or has another size.
    pub(crate) async fn rows_have_files(&self) {
        for row in self.texts("select location || ' ' || size from blob").await {
            let (location, size) = row.split_once(' ').expect("two columns");
            let found = self.size_at(location).await;
            assert_eq!(found.to_string(), size, "{location}");
        }
    }

    /// Deletes all repositories, lets all time pass, and collects. Then
    /// nothing must be left: no row, no file.
    pub(crate) async fn drains(&self) {
        for name in self
            .texts("select name from repository where deleted is null")
            .await
        {
            let name = crate::world::repository(&name);
            self.repository_delete(&name, true)
                .await
                .expect("it is there");
        }
        self.drains_by_itself().await;
    }

    /// As [`World::drains`], where everything was deleted or has expired.
    pub(crate) async fn drains_by_itself(&self) {
        self.advance(UNDO + UPLOADS + Duration::from_hours(24));
        self.collect().await;
        self.tables_agree().await;
        self.advance(TRASH + UNDO + UPLOADS);
        // The second run deletes what the first put in the trash, and finds
        // orphans; the third deletes those.
        self.collect().await;
        self.collect().await;
        for table in TABLES {
            let left = self.count(&format!("select count(*) from {table}")).await;
            assert_eq!(left, 0, "rows are left in `{table}`");
        }
        for part in ["blobs", "staging"] {
            let left = self.files(part);
            assert!(left.is_empty(), "files are left in `{part}`: {left:?}");
        }
    }

    /// Panics if `fsck` finds anything.
    pub(crate) async fn is_sound(&self) {
        let report = self.check(FsckOptions::default()).await;
        assert_eq!(report.problems, [], "fsck finds problems");
    }
}
