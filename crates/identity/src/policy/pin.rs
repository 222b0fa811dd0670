//! Pins: the conditions that hold a policy to what it is attached to.
//!
//! They are compiled into each statement, before what its author wrote, so
//! that the whole set of policies gives the same answer as the few that are
//! loaded for a decision: everywhere else the pin is false, and what follows
//! it is not even looked at.
//!
//! | attached to | condition |
//! |---|---|
//! | principal or group | `principal in TARGET`, and for permits `resource in ACCOUNT` |
//! | repository or account | `resource in TARGET` |
//!
//! So nobody can allow anything on what belongs to another account, and
//! nobody can forbid another account's principals anything but on their own.

use cedar_policy::{Effect, EntityUid, Policy as Statement, PolicyId as StatementId};
use serde_json::{Value, json};

/// What holds the statements of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pin {
    /// Of a principal or a group: who it is, and the account that it is in.
    Whom {
        /// The principal, of whatever kind it may be, or the group.
        targets: Vec<EntityUid>,
        /// Its account.
        account: EntityUid,
    },
    /// Of a repository or an account.
    What(EntityUid),
}

impl Pin {
    fn conditions(&self, effect: Effect) -> Vec<Value> {
        let mut conditions = Vec::new();
        match self {
            Self::Whom { targets, account } => {
                conditions.push(is_in("principal", targets));
                if effect == Effect::Permit {
                    conditions.push(is_in("resource", std::slice::from_ref(account)));
                }
            }
            Self::What(target) => {
                conditions.push(is_in("resource", std::slice::from_ref(target)));
            }
        }
        conditions
    }

    /// The statement under the name `id`, held. `None` if it can't be.
    pub(super) fn hold(&self, statement: &Statement, id: &str) -> Option<Statement> {
        let mut json = statement.to_json().ok()?;
        let written = json.get_mut("conditions")?.as_array_mut()?;
        written.splice(0..0, self.conditions(statement.effect()));
        Statement::from_json(Some(StatementId::new(id)), json).ok()
    }
}

/// `when { VARIABLE in [ENTITY, ..] }`
fn is_in(variable: &str, entities: &[EntityUid]) -> Value {
    let entities: Vec<Value> = entities
        .iter()
        .map(|entity| {
            let entity = json!({
                "type": entity.type_name().to_string(),
                "id": entity.id().unescaped(),
            });
            json!({"Value": {"__entity": entity}})
        })
        .collect();
    json!({
        "kind": "when",
        "body": {"in": {"left": {"Var": variable}, "right": {"Set": entities}}},
    })
}

/// Whether a statement looks at the request's context, so that its outcome
/// can't be remembered.
pub(super) fn looks_at_context(statement: &Statement) -> bool {
    fn looks(value: &Value) -> bool {
        match value {
            Value::Object(fields) => {
                fields.get("Var").is_some_and(|name| name == "context")
                    || fields.values().any(looks)
            }
            Value::Array(values) => values.iter().any(looks),
            _ => false,
        }
    }
    // What can't be read might.
    statement.to_json().map_or(true, |json| looks(&json))
}
