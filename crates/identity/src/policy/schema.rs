//! The published schema: what policies may speak of, and the names of it.

use std::{collections::HashMap, sync::LazyLock};

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression, Schema,
};
use landfall_clock::Timestamp;
use landfall_ids::{AccountId, GroupId, PrincipalId, RepositoryId};

use crate::{Action, Ask, PrincipalKind};

/// The schema, as it is published.
pub(crate) const TEXT: &str = include_str!("landfall.cedarschema");

/// The namespace of all that is ours, with what follows it.
pub(super) const NAMESPACE: &str = "Landfall::";

/// The schema, read.
pub(super) static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let (schema, _) = Schema::from_cedarschema_str(TEXT).expect("the schema is ours, and tested");
    schema
});

/// The types of entities that requests are made of.
struct Types {
    principals: [EntityTypeName; 4],
    anonymous: EntityUid,
    group: EntityTypeName,
    account: EntityTypeName,
    repository: EntityTypeName,
    registry: EntityTypeName,
    actions: [Entity; Action::ALL.len()],
    /// The groups of each action.
    groups: [Vec<EntityUid>; Action::ALL.len()],
}

static TYPES: LazyLock<Types> = LazyLock::new(|| Types {
    principals: PrincipalKind::ALL.map(|kind| type_name(kind_name(kind))),
    anonymous: uid(&type_name("Anonymous"), "anonymous"),
    group: type_name("Group"),
    account: type_name("Account"),
    repository: type_name("Repository"),
    registry: type_name("Registry"),
    actions: Action::ALL.map(|action| {
        let declared = declared_actions();
        let found = declared.get(&action_uid(action));
        found.expect("each action is declared").clone()
    }),
    groups: Action::ALL.map(|action| {
        let declared = declared_actions();
        let groups = declared.ancestors(&action_uid(action));
        groups.expect("each action is declared").cloned().collect()
    }),
});

fn declared_actions() -> Entities {
    let declared = SCHEMA.action_entities();
    declared.expect("actions in a hierarchy")
}

fn action_uid(action: Action) -> EntityUid {
    uid(&type_name("Action"), action.cedar_id())
}

/// The name of a kind of principal in the schema.
fn kind_name(kind: PrincipalKind) -> &'static str {
    match kind {
        PrincipalKind::User => "User",
        PrincipalKind::Robot => "Robot",
        PrincipalKind::Host => "Host",
        PrincipalKind::Worker => "Worker",
    }
}

fn type_name(name: &str) -> EntityTypeName {
    format!("{NAMESPACE}{name}")
        .parse()
        .expect("a name of the schema")
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

/// A principal, by its kind and identity.
pub(crate) fn principal_uid(kind: PrincipalKind, id: PrincipalId) -> EntityUid {
    uid(&TYPES.principals[kind as usize], &id.to_string())
}

/// Whoever has not said who they are.
pub(crate) fn anonymous_uid() -> EntityUid {
    TYPES.anonymous.clone()
}

/// A group.
pub(crate) fn group_uid(id: GroupId) -> EntityUid {
    uid(&TYPES.group, &id.to_string())
}

/// An account.
pub(crate) fn account_uid(id: AccountId) -> EntityUid {
    uid(&TYPES.account, &id.to_string())
}

/// A repository. One that is not there has no identity: then it is one that
/// no policy can name.
pub(crate) fn repository_uid(id: Option<RepositoryId>) -> EntityUid {
    let id = id.map(|id| id.to_string()).unwrap_or_default();
    uid(&TYPES.repository, &id)
}

/// An account that is not there, which no policy can name.
pub(crate) fn no_account_uid() -> EntityUid {
    uid(&TYPES.account, "")
}

/// The registry.
pub(crate) fn registry_uid() -> EntityUid {
    uid(&TYPES.registry, "registry")
}

/// An action, with its groups.
pub(crate) fn action_entity(action: Action) -> &'static Entity {
    &TYPES.actions[action as usize]
}

/// Whether the action is in that group of actions.
pub(super) fn is_in_group(action: Action, group: &EntityUid) -> bool {
    TYPES.groups[action as usize].contains(group)
}

/// An entity that has a name and, but for accounts, an account.
pub(crate) fn named(
    uid: EntityUid,
    name: &str,
    account: Option<&EntityUid>,
    parents: impl IntoIterator<Item = EntityUid>,
) -> Entity {
    let mut attributes = HashMap::from([(
        "name".to_owned(),
        RestrictedExpression::new_string(name.to_owned()),
    )]);
    if let Some(account) = account {
        attributes.insert(
            "account".to_owned(),
            RestrictedExpression::new_entity_uid(account.clone()),
        );
    }
    Entity::new(uid, attributes, parents.into_iter().collect())
        .expect("names and accounts are values")
}

/// What is known of a request.
pub(crate) fn context(ask: &Ask<'_>, now: Timestamp) -> Context {
    let mut pairs = vec![
        ("time".to_owned(), instant(now)),
        (
            "credential".to_owned(),
            RestrictedExpression::new_string(ask.caller.credential.kind.as_str().to_owned()),
        ),
    ];
    if let Some(source) = ask.caller.source {
        let source = RestrictedExpression::new_ip(source.to_canonical().to_string());
        pairs.push(("source".to_owned(), source));
    }
    if let Some(tag) = ask.tag {
        let tag = RestrictedExpression::new_string(tag.to_owned());
        pairs.push(("tag".to_owned(), tag));
    }
    Context::from_pairs(pairs).expect("addresses and instants are written as they are read")
}

/// An instant as policies know it: in milliseconds.
fn instant(time: Timestamp) -> RestrictedExpression {
    // RFC 3339 with microseconds; the language takes three digits.
    let text = time.to_string();
    let text = match text.split_once('.') {
        Some((seconds, rest)) if rest.len() > 3 => format!("{seconds}.{}Z", &rest[..3]),
        _ => "1970-01-01T00:00:00.000Z".to_owned(),
    };
    RestrictedExpression::new_datetime(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Caller, Resource};

    #[test]
    fn each_action_of_ours_is_declared_for_its_kind_of_resource() {
        for action in Action::ALL {
            let uid = action_entity(action).uid();
            let resources: Vec<_> = SCHEMA
                .resources_for_action(&uid)
                .expect("declared")
                .map(EntityTypeName::basename)
                .map(str::to_lowercase)
                .collect();
            assert_eq!(resources, [action.kind().as_str()], "{action}");
        }
        assert_eq!(SCHEMA.actions().count(), Action::ALL.len() + 3);
    }

    #[test]
    fn the_context_of_a_request_is_as_the_schema_says() {
        for source in [None, Some("::ffff:10.1.2.3"), Some("2001:db8::1")] {
            for tag in [None, Some("v1")] {
                let caller = Caller::anonymous(source.map(|text| text.parse().expect("address")));
                let name = "acme/web".parse().expect("name");
                let ask = Ask {
                    caller: &caller,
                    action: Action::Pull,
                    resource: Resource::Repository(&name),
                    tag,
                };
                for micros in [0, 1, 1_800_000_000_123_456, 4_000_000_000_000_000] {
                    let context = context(&ask, Timestamp::from_unix_micros(micros));
                    let action = action_entity(Action::Pull).uid();
                    context.validate(&SCHEMA, &action).expect("as declared");
                }
            }
        }
    }
}
