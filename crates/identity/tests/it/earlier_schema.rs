//! A database of an earlier Landfall: its administrator is there afterwards.

use landfall_clock::Timestamp;
use landfall_database::{Database, Kind, MigrationSet, PostgresOptions, params};
use landfall_identity::{MIGRATIONS, Secret, password_reset};
use landfall_ids::{AccountId, PrincipalId};

use crate::world::local;

/// Identities before there were others than the administrator.
const FIRST: MigrationSet = MigrationSet {
    domain: MIGRATIONS.domain,
    migrations: MIGRATIONS.migrations.split_at(2).0,
};

async fn the_administrator_of_the_first_schema_is_a_user_that_can_log_in(kind: Kind) {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let database = match kind {
        Kind::Sqlite => Database::open_sqlite(&folder.path().join("it.sqlite")),
        Kind::Postgres => {
            let url = landfall_services::postgres::fresh().to_string();
            Database::open_postgres(&PostgresOptions::new(url)).await
        }
    };
    let database = database.expect("a database");
    database.migrate(&[FIRST]).await.expect("the first schema");
    let (account, id) = (AccountId::new_at(1), PrincipalId::new_at(2));
    let written = database.write(move |tx| {
        tx.execute(
            "insert into account(id, name, created) values (?1, 'admin', 1)",
            params![account],
        )?;
        tx.execute(
            "insert into principal(id, account, name, administrator, password, created)
             values (?1, ?2, 'admin', 1, 'x', 1)",
            params![id, account],
        )
    });
    written.await.expect("rows");
    let migrated = database
        .migrate(&[landfall_database::epoch::MIGRATIONS, MIGRATIONS])
        .await;
    migrated.expect("the schema of today");
    let clock = landfall_clock::ManualClock::new(Timestamp::from_unix_micros(3));
    let given = Some(Secret::new("given"));
    let reset = password_reset(&database, &clock, &local("admin"), given).await;
    assert!(!reset.expect("reset").enabled, "it was not disabled");
}

#[tokio::test]
async fn on_sqlite() {
    the_administrator_of_the_first_schema_is_a_user_that_can_log_in(Kind::Sqlite).await;
}

#[tokio::test]
async fn on_postgres() {
    the_administrator_of_the_first_schema_is_a_user_that_can_log_in(Kind::Postgres).await;
}
