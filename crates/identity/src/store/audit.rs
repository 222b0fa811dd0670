//! The table of the audit log. Rows are inserted and, when they are old,
//! deleted; nothing updates them.

use landfall_clock::Timestamp;
use landfall_database::{ReadTransaction, Result, Row, ToValue, WriteTransaction, params};
use landfall_ids::AuditId;

use crate::{
    AuditEntry, AuditFilter, AuditOutcome, AuditPrincipal, AuditResource, CredentialKind,
    audit::AuditRow,
};

/// What the migration makes. No foreign keys: a line stays true when what it
/// names is gone.
pub(crate) const SCHEMA: &str = "
create table audit(
  id BYTEA primary key,
  at BIGINT not null,
  principal BYTEA,
  account BYTEA,
  account_name TEXT,
  name TEXT,
  source TEXT,
  credential TEXT not null,
  credential_id TEXT,
  request TEXT,
  action TEXT not null,
  resource_kind TEXT not null,
  resource_id TEXT,
  resource_name TEXT not null,
  resource_account TEXT,
  reason TEXT,
  policies TEXT not null,
  detail TEXT,
  times BIGINT not null);
create index audit_caller on audit(account_name, name, id) where account_name is not null;
create index audit_account on audit(account_name, id) where account_name is not null;
create index audit_owner on audit(resource_account, id) where resource_account is not null;
create index audit_resource on audit(resource_name, id);";

const COLUMNS: &str = "id, at, principal, account, account_name, name, source, credential,
       credential_id, request, action, resource_kind, resource_id, resource_name,
       resource_account, reason, policies, detail, times";
const COLUMN_COUNT: usize = 19;

/// How many rows one statement inserts: few texts of statements, so that they
/// stay prepared.
const TOGETHER: [usize; 4] = [64, 16, 4, 1];

/// Inserts the rows.
pub(crate) fn audit_insert(tx: &WriteTransaction<'_>, rows: &[AuditRow]) -> Result<()> {
    let mut rest = rows;
    while !rest.is_empty() {
        let count = TOGETHER.into_iter().find(|count| *count <= rest.len());
        let (now, later) = rest.split_at(count.unwrap_or(1));
        insert(tx, now)?;
        rest = later;
    }
    Ok(())
}

fn insert(tx: &WriteTransaction<'_>, rows: &[AuditRow]) -> Result<()> {
    let places: Vec<_> = (0..rows.len())
        .map(|row| {
            let places = landfall_database::placeholders(row * COLUMN_COUNT + 1, COLUMN_COUNT);
            format!("({places})")
        })
        .collect();
    let sql = format!("insert into audit({COLUMNS}) values {}", places.join(", "));
    let mut values: Vec<&dyn ToValue> = Vec::with_capacity(rows.len() * COLUMN_COUNT);
    for row in rows {
        let of_row: [&dyn ToValue; COLUMN_COUNT] = [
            &row.id,
            &row.at,
            &row.principal,
            &row.account,
            &row.account_name,
            &row.name,
            &row.source,
            &row.credential,
            &row.credential_id,
            &row.request,
            &row.action,
            &row.resource_kind,
            &row.resource_id,
            &row.resource_name,
            &row.resource_account,
            &row.reason,
            &row.policies,
            &row.detail,
            &row.times,
        ];
        values.extend(of_row);
    }
    tx.execute(&sql, &values)?;
    Ok(())
}

/// The lowest identity that a row of this instant can have.
fn lowest(at: Timestamp) -> Vec<u8> {
    let millis = (at.unix_micros() / 1000).max(0).unsigned_abs();
    let mut id = vec![0; 16];
    id[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    id
}

/// Deletes up to `limit` rows that are older. How many.
pub(crate) fn audit_prune(
    tx: &WriteTransaction<'_>,
    before: Timestamp,
    limit: usize,
) -> Result<u64> {
    tx.execute(
        "delete from audit where id in (select id from audit where id < ?1 order by id limit ?2)",
        params![lowest(before), limit],
    )
}

/// The rows that are wanted on the far side of `cursor`, the newest first or
/// the oldest first, up to `limit`.
pub(crate) fn audit_list(
    tx: &ReadTransaction<'_>,
    filter: &AuditFilter,
    cursor: Option<AuditId>,
    limit: usize,
    newest_first: bool,
) -> Result<Vec<AuditEntry>> {
    let select = |account: Option<&str>| {
        let mut wanted = Wanted::default();
        if let (Some(column), Some(account)) = (account, &filter.account) {
            wanted.with(column, account.clone());
        }
        wanted.of(filter);
        let way = if newest_first { "<" } else { ">" };
        if let Some(cursor) = cursor {
            wanted.with(&format!("id {way}"), cursor);
        }
        wanted.select(tx, limit, newest_first)
    };
    if filter.account.is_none() {
        return select(None);
    }
    // Lines of the account's callers, and lines of what belongs to it: each has
    // an index of its own.
    let mut rows = select(Some("account_name ="))?;
    rows.extend(select(Some("resource_account ="))?);
    rows.sort_by_key(|entry| entry.id);
    rows.dedup_by_key(|entry| entry.id);
    if newest_first {
        rows.reverse();
    }
    rows.truncate(limit);
    Ok(rows)
}

/// The conditions of a query, with their values.
#[derive(Default)]
struct Wanted {
    conditions: Vec<String>,
    values: Vec<Box<dyn ToValue>>,
}

impl Wanted {
    /// A column, a comparison, and what to compare with.
    fn with(&mut self, compared: &str, value: impl ToValue + 'static) {
        self.values.push(Box::new(value));
        let place = self.values.len();
        self.conditions.push(format!("{compared} ?{place}"));
    }

    fn of(&mut self, filter: &AuditFilter) {
        if let Some(principal) = &filter.principal {
            self.with("account_name =", principal.account().to_owned());
            self.with("name =", principal.name().to_owned());
        }
        let texts = [
            ("action =", &filter.action),
            ("resource_kind =", &filter.resource_kind),
            ("resource_name =", &filter.resource_name),
        ];
        for (compared, value) in texts {
            if let Some(value) = value {
                self.with(compared, value.clone());
            }
        }
        match filter.allowed {
            Some(true) => self.conditions.push("reason is null".to_owned()),
            Some(false) => self.conditions.push("reason is not null".to_owned()),
            None => {}
        }
        if let Some(since) = filter.since {
            self.with("id >=", lowest(since));
            self.with("at >=", since);
        }
        if let Some(until) = filter.until {
            // The identities of its own millisecond too.
            self.with("id <", lowest(until + std::time::Duration::from_millis(1)));
            self.with("at <", until);
        }
    }

    fn select(
        mut self,
        tx: &ReadTransaction<'_>,
        limit: usize,
        newest_first: bool,
    ) -> Result<Vec<AuditEntry>> {
        let conditions = if self.conditions.is_empty() {
            String::new()
        } else {
            format!("where {}", self.conditions.join(" and "))
        };
        self.values.push(Box::new(limit));
        let order = if newest_first { "desc" } else { "asc" };
        let sql = format!(
            "select {COLUMNS} from audit {conditions} order by id {order} limit ?{}",
            self.values.len()
        );
        let values: Vec<&dyn ToValue> = self.values.iter().map(|value| &**value).collect();
        tx.all(&sql, &values, entry)
    }
}

fn entry(row: &Row<'_>) -> Result<AuditEntry> {
    let id: Option<_> = row.get(2)?;
    let account: Option<_> = row.get(3)?;
    let names: (Option<String>, Option<String>) = (row.get(4)?, row.get(5)?);
    let principal = match (id, account, names) {
        (Some(id), Some(account), (Some(account_name), Some(name))) => Some(AuditPrincipal {
            id,
            account,
            account_name,
            name,
        }),
        _ => None,
    };
    let source: Option<String> = row.get(6)?;
    let reason: Option<String> = row.get(15)?;
    let policies: String = row.get(16)?;
    Ok(AuditEntry {
        id: row.get(0)?,
        at: row.get(1)?,
        principal,
        source: source.and_then(|source| source.parse().ok()),
        credential: CredentialKind::of(&row.get::<String>(7)?).unwrap_or(CredentialKind::None),
        credential_id: row.get(8)?,
        request: row.get(9)?,
        action: row.get(10)?,
        resource: AuditResource {
            kind: row.get::<String>(11)?.into(),
            id: row.get(12)?,
            name: row.get(13)?,
            account: row.get(14)?,
        },
        outcome: reason.map_or(AuditOutcome::Allowed, |reason| AuditOutcome::Refused {
            reason,
        }),
        policies: serde_json::from_str(&policies).unwrap_or_default(),
        detail: row.get(17)?,
        times: row.get(18)?,
    })
}
