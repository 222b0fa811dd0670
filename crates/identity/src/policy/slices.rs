//! What a decision loads: the policies of the principal, of its groups, of the
//! resource and of the resource's account; compiled once for each epoch.
//!
//! Two at once who need the same load it once. What is remembered is bounded:
//! by its weight, estimated from the texts of the policies.
//!
//! A repository that is not there is decided as one of that name that no policy
//! was attached to. A repository that is made later starts like that, so this
//! is remembered as well; and it takes the same statements, so that nobody can
//! tell one from the other by the time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use cedar_policy::{Entity, EntityUid};
use landfall_ids::{AccountId, PrincipalId, RepositoryId};
use landfall_oci::RepositoryName;
use quick_cache::{Weighter, sync::Cache};

use super::{
    account_key,
    pin::Pin,
    rules::{self, Rules, Said},
    schema, stack,
};
use crate::{
    Action, Ask, Caller, Error, Identity, OPERATOR_ACCOUNT, Principal, PrincipalKind, Resource,
    generation::Generation,
    store::{
        self,
        policies::{Attached, Owner, TargetId},
    },
};

/// About how many bytes of principals are remembered, and of repositories.
const WEIGHT: u64 = 64 * 1024 * 1024;
/// About how many bytes the entities of one take.
const OWN_WEIGHT: u64 = 2048;
/// How many groups and accounts, and principals and repositories, are expected.
const EXPECTED: usize = 10_000;
/// How many decisions are remembered: some 64 bytes each, once they are made.
const DECISIONS: usize = 1_000_000;
/// How many repositories are asked for by one statement.
const TOGETHER: usize = 400;

/// Which policies speak of one principal or of one resource.
pub(crate) struct Slice {
    /// Its number in this generation.
    number: u32,
    /// What it is in requests.
    pub(super) uid: EntityUid,
    /// It and its account.
    entities: Vec<Entity>,
    account: Option<AccountId>,
    /// Whether its account was deleted: nobody may do anything to it then.
    gone: bool,
    /// What policies can be attached to, and speak of this.
    pub(super) targets: Vec<TargetId>,
    /// Those policies, by what they are attached to; not those without any.
    pub(super) rules: Vec<(TargetId, Arc<Rules>)>,
    weight: u64,
}

#[derive(Clone)]
struct ByWeight;

impl Weighter<PrincipalId, Arc<Slice>> for ByWeight {
    fn weight(&self, _: &PrincipalId, slice: &Arc<Slice>) -> u64 {
        slice.weight
    }
}
impl Weighter<String, Arc<Slice>> for ByWeight {
    fn weight(&self, name: &String, slice: &Arc<Slice>) -> u64 {
        slice.weight + account_key::weight(name)
    }
}
impl Weighter<TargetId, Arc<Rules>> for ByWeight {
    fn weight(&self, _: &TargetId, rules: &Arc<Rules>) -> u64 {
        256 + rules.weight()
    }
}

/// A question, as decisions are remembered by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Question {
    who: u32,
    what: u32,
    action: Action,
}

/// What is remembered of policies in one generation.
pub(crate) struct Caches {
    numbers: AtomicU32,
    anonymous: Arc<Slice>,
    principals: Cache<PrincipalId, Arc<Slice>, ByWeight>,
    repositories: Cache<String, Arc<Slice>, ByWeight>,
    /// Accounts by name; the registry has the empty one.
    accounts: Cache<String, Arc<Slice>, ByWeight>,
    /// The rules of groups and accounts, which many slices share.
    shared: Cache<TargetId, Arc<Rules>, ByWeight>,
    decisions: Cache<Question, Said>,
}

impl Default for Caches {
    fn default() -> Self {
        let uid = schema::anonymous_uid();
        let anonymous = Slice {
            number: 0,
            entities: vec![Entity::with_uid(uid.clone())],
            uid,
            account: None,
            gone: false,
            targets: Vec::new(),
            rules: Vec::new(),
            weight: OWN_WEIGHT,
        };
        Self {
            numbers: AtomicU32::new(1),
            anonymous: Arc::new(anonymous),
            principals: Cache::with_weighter(EXPECTED, WEIGHT, ByWeight),
            repositories: Cache::with_weighter(EXPECTED, WEIGHT, ByWeight),
            accounts: Cache::with_weighter(EXPECTED, WEIGHT, ByWeight),
            shared: Cache::with_weighter(EXPECTED, WEIGHT, ByWeight),
            decisions: Cache::new(DECISIONS),
        }
    }
}

impl Caches {
    fn slice(
        &self,
        uid: EntityUid,
        entities: Vec<Entity>,
        account: Option<Owner>,
        targets: Vec<TargetId>,
        rules: Vec<(TargetId, Arc<Rules>)>,
        own: TargetId,
    ) -> Arc<Slice> {
        let of_its_own = rules.iter().filter(|(target, _)| *target == own);
        let weight = of_its_own.map(|(_, rules)| rules.weight()).sum::<u64>();
        Arc::new(Slice {
            number: self.numbers.fetch_add(1, Ordering::Relaxed),
            uid,
            entities,
            account: account.map(|owner| owner.id),
            gone: account.is_some_and(|owner| owner.gone),
            targets,
            rules,
            weight: OWN_WEIGHT + weight,
        })
    }

    /// Compiles what is not known: policies by their targets. Those of `own`
    /// are not shared. Not on this thread: its stack may be too small.
    async fn compiled(
        &self,
        own: &BTreeSet<TargetId>,
        attached: Vec<Attached>,
    ) -> Result<Compiled, Error> {
        let mut compiled = Compiled::new();
        let mut unknown = BTreeMap::<TargetId, Vec<Attached>>::new();
        for policy in attached {
            let target = policy.target;
            if compiled.contains_key(&target) {
                continue;
            }
            if !own.contains(&target)
                && !unknown.contains_key(&target)
                && let Some(known) = self.shared.get(&target)
            {
                compiled.insert(target, known);
                continue;
            }
            unknown.entry(target).or_default().push(policy);
        }
        if unknown.is_empty() {
            return Ok(compiled);
        }
        let compiling = stack::deep(move || {
            let rules = unknown.iter().map(|(target, policies)| {
                let rules = Arc::new(rules_of(policies.iter()));
                (*target, rules)
            });
            rules.collect::<Vec<_>>()
        });
        for (target, rules) in compiling.await.ok_or(Error::Unavailable)? {
            if !own.contains(&target) {
                self.shared.insert(target, Arc::clone(&rules));
            }
            compiled.insert(target, rules);
        }
        Ok(compiled)
    }
}

/// The rules of targets.
type Compiled = BTreeMap<TargetId, Arc<Rules>>;

/// The rules of these targets, without those that say nothing.
fn rules_at(targets: &[TargetId], compiled: &Compiled) -> Vec<(TargetId, Arc<Rules>)> {
    let rules = targets.iter().filter_map(|target| {
        let rules = compiled.get(target)?;
        Some((*target, Arc::clone(rules)))
    });
    rules.filter(|(_, rules)| !rules.is_empty()).collect()
}

/// Compiles the policies of one target.
pub(super) fn rules_of<'a>(attached: impl Iterator<Item = &'a Attached>) -> Rules {
    let pinned: Vec<_> = attached.map(|policy| (policy, pin(policy))).collect();
    Rules::compile(
        pinned
            .iter()
            .map(|(policy, pin)| (&policy.name, pin.as_ref(), policy.text.as_str())),
    )
}

/// The pin of a stored policy; `None` if its kind is one of a later version.
pub(crate) fn pin(policy: &Attached) -> Option<Pin> {
    let account = schema::account_uid(policy.account);
    let target = &policy.target.0;
    Some(match policy.kind.as_str() {
        // Whatever kind of principal it is, its identity is its own.
        "principal" => Pin::Whom {
            targets: PrincipalKind::ALL
                .iter()
                .filter_map(|kind| {
                    let id = PrincipalId::from_bytes(target).ok()?;
                    Some(schema::principal_uid(*kind, id))
                })
                .collect(),
            account,
        },
        "group" => Pin::Whom {
            targets: vec![schema::group_uid(
                landfall_ids::GroupId::from_bytes(target).ok()?,
            )],
            account,
        },
        "repository" => Pin::What(schema::repository_uid(Some(
            RepositoryId::from_bytes(target).ok()?,
        ))),
        "account" => Pin::What(schema::account_uid(AccountId::from_bytes(target).ok()?)),
        _ => return None,
    })
}

/// What the policies say: out of the decisions that are remembered, or now.
pub(super) fn said(
    who: &Slice,
    what: &Slice,
    ask: &Ask<'_>,
    now: landfall_clock::Timestamp,
) -> Said {
    said_by(
        who.rules
            .iter()
            .chain(&what.rules)
            .map(|(_, rules)| &**rules),
        (who, what),
        ask,
        now,
    )
}

/// What these rules say.
pub(super) fn said_by<'a>(
    rules: impl Iterator<Item = &'a Rules>,
    (who, what): (&Slice, &Slice),
    ask: &Ask<'_>,
    now: landfall_clock::Timestamp,
) -> Said {
    if what.gone {
        // Permits on a repository would be left, and forbids on its account not.
        return Said::Forbidden(Arc::from([]));
    }
    rules::decide(rules, ask.action, || request(who, what, ask, now))
}

/// The request that policies are asked with.
pub(super) fn request(
    who: &Slice,
    what: &Slice,
    ask: &Ask<'_>,
    now: landfall_clock::Timestamp,
) -> (cedar_policy::Request, cedar_policy::Entities) {
    let same = who.account.is_some() && who.account == what.account;
    // The account of both is there once; it is the last of each.
    let of_what = what.entities.len() - usize::from(same && what.entities.len() > 1);
    let mut entities: Vec<Entity> = what.entities[..of_what].to_vec();
    let both = same && what.entities.len() == 1;
    let of_who = who.entities.len() - usize::from(both && who.entities.len() > 1);
    entities.extend_from_slice(&who.entities[..of_who]);
    rules::request(
        who.uid.clone(),
        ask.action,
        what.uid.clone(),
        schema::context(ask, now),
        entities,
    )
}

impl Identity {
    /// What policies say to the question.
    pub(crate) async fn policies_say(
        &self,
        generation: &Generation,
        ask: &Ask<'_>,
    ) -> Result<Said, Error> {
        let caches = &generation.policies;
        let who = self.slice_of_caller(generation, ask.caller).await?;
        let what = self.slice_of_resource(generation, ask.resource).await?;
        let question = Question {
            who: who.number,
            what: what.number,
            action: ask.action,
        };
        if let Some(said) = caches.decisions.get(&question) {
            return Ok(said);
        }
        let said = said(&who, &what, ask, self.clock.now());
        if !looks_at_context(&who, &what, ask.action) {
            caches.decisions.insert(question, said.clone());
        }
        Ok(said)
    }

    /// Whether the policies would allow it in another context.
    pub(crate) async fn policies_may_allow(
        &self,
        generation: &Generation,
        ask: &Ask<'_>,
    ) -> Result<bool, Error> {
        let who = self.slice_of_caller(generation, ask.caller).await?;
        let what = self.slice_of_resource(generation, ask.resource).await?;
        let mut rules = who.rules.iter().chain(&what.rules);
        Ok(!what.gone
            && looks_at_context(&who, &what, ask.action)
            && rules.any(|(_, rules)| rules.permits(ask.action)))
    }

    pub(super) async fn slice_of_caller(
        &self,
        generation: &Generation,
        caller: &Caller,
    ) -> Result<Arc<Slice>, Error> {
        let caches = &generation.policies;
        let Some(principal) = &caller.principal else {
            return Ok(Arc::clone(&caches.anonymous));
        };
        if let Some(known) = caches.principals.get(&principal.id) {
            return Ok(known);
        }
        let load = self.load_principal(caches, principal);
        caches
            .principals
            .get_or_insert_async(&principal.id, load)
            .await
    }

    async fn load_principal(
        &self,
        caches: &Caches,
        principal: &Principal,
    ) -> Result<Arc<Slice>, Error> {
        let id = principal.id;
        let own = TargetId(*id.as_bytes());
        let (groups, attached) = self
            .database
            .read(move |tx| {
                let groups = store::groups::groups_of(tx, id)?;
                let mut targets = vec![own];
                targets.extend(groups.iter().map(|group| TargetId(*group.as_bytes())));
                let attached = store::policies::policies_of(tx, &targets)?;
                Ok::<_, landfall_database::Error>((groups, attached))
            })
            .await?;
        let mut targets = vec![own];
        targets.extend(groups.iter().map(|group| TargetId(*group.as_bytes())));
        let uid = schema::principal_uid(principal.kind, id);
        let account = schema::account_uid(principal.account);
        let groups = groups.into_iter().map(schema::group_uid);
        let entities = vec![
            schema::named(
                uid.clone(),
                &principal.name,
                Some(&account),
                groups.chain([account.clone()]),
            ),
            schema::named(account, &principal.account_name, None, []),
        ];
        let compiled = caches.compiled(&BTreeSet::from([own]), attached).await?;
        let rules = rules_at(&targets, &compiled);
        // Principals of a deleted account don't come here.
        let account = Owner {
            id: principal.account,
            gone: false,
        };
        Ok(caches.slice(uid, entities, Some(account), targets, rules, own))
    }

    pub(super) async fn slice_of_resource(
        &self,
        generation: &Generation,
        resource: Resource<'_>,
    ) -> Result<Arc<Slice>, Error> {
        let caches = &generation.policies;
        match resource {
            Resource::Repository(name) => {
                if let Some(known) = caches.repositories.get(name.as_str()) {
                    return Ok(known);
                }
                let load = async {
                    let id = self.repositories.repository_find(name).await?;
                    let loaded = self.load_repositories(caches, &[(name, id)]).await?;
                    loaded.into_iter().next().ok_or(Error::Unavailable)
                };
                caches
                    .repositories
                    .get_or_insert_async(name.as_str(), load)
                    .await
            }
            Resource::Account(_) | Resource::Registry => {
                let resource = account_key::known_as(resource);
                let name = resource.name();
                if let Some(known) = caches.accounts.get(name) {
                    return Ok(known);
                }
                let load = self.load_account(caches, resource);
                caches.accounts.get_or_insert_async(name, load).await
            }
        }
    }

    /// Makes sure that these are remembered, by a few statements for all.
    pub(crate) async fn repositories_load(
        &self,
        generation: &Generation,
        names: &[RepositoryName],
    ) -> Result<(), Error> {
        let caches = &generation.policies;
        let unknown: Vec<RepositoryName> = names
            .iter()
            .filter(|name| !caches.repositories.contains_key(name.as_str()))
            .cloned()
            .collect();
        for names in unknown.chunks(TOGETHER) {
            let ids = self.repositories.repositories_find(names).await?;
            let found: Vec<_> = names.iter().zip(ids).collect();
            let loaded = self.load_repositories(caches, &found).await?;
            for (name, slice) in names.iter().zip(loaded) {
                caches.repositories.insert(name.to_string(), slice);
            }
        }
        Ok(())
    }

    async fn load_repositories(
        &self,
        caches: &Caches,
        named: &[(&RepositoryName, Option<RepositoryId>)],
    ) -> Result<Vec<Arc<Slice>>, Error> {
        let accounts: BTreeSet<String> = named
            .iter()
            .map(|(name, _)| name.account().to_string())
            .collect();
        let own: Vec<TargetId> = named
            .iter()
            .map(|(_, id)| id.map_or(TargetId::NONE, |id| TargetId(*id.as_bytes())))
            .collect();
        let (accounts, attached) = self.load_owners(accounts, own.clone()).await?;
        let compiled = caches
            .compiled(&own.into_iter().collect(), attached)
            .await?;
        let slices = named.iter().map(|(name, id)| {
            let account_name = name.account().to_string();
            let account = accounts.get(&account_name).copied();
            let account_uid =
                account.map_or_else(schema::no_account_uid, |it| schema::account_uid(it.id));
            let uid = schema::repository_uid(*id);
            let entities = vec![
                schema::named(
                    uid.clone(),
                    name.as_str(),
                    Some(&account_uid),
                    [account_uid.clone()],
                ),
                schema::named(account_uid, &account_name, None, []),
            ];
            let own = id.map_or(TargetId::NONE, |id| TargetId(*id.as_bytes()));
            // With no account there is nobody whose policies could be asked.
            let targets: Vec<TargetId> = account
                .map(|it| [own, TargetId(*it.id.as_bytes())])
                .into_iter()
                .flatten()
                .filter(|target| *target != TargetId::NONE)
                .collect();
            let rules = rules_at(&targets, &compiled);
            caches.slice(uid, entities, account, targets, rules, own)
        });
        Ok(slices.collect())
    }

    async fn load_account(
        &self,
        caches: &Caches,
        resource: Resource<'_>,
    ) -> Result<Arc<Slice>, Error> {
        let name = match resource {
            Resource::Account(name) => name,
            Resource::Repository(_) | Resource::Registry => OPERATOR_ACCOUNT,
        };
        let (accounts, attached) = self
            .load_owners(BTreeSet::from([name.to_owned()]), Vec::new())
            .await?;
        let account = accounts.get(name).copied();
        let account_uid =
            account.map_or_else(schema::no_account_uid, |it| schema::account_uid(it.id));
        let entity = schema::named(account_uid.clone(), name, None, []);
        let (uid, entities) = match resource {
            Resource::Registry => {
                let registry = schema::registry_uid();
                let parents = [account_uid].into();
                let whole = Entity::new_no_attrs(registry.clone(), parents);
                (registry, vec![whole, entity])
            }
            _ => (account_uid, vec![entity]),
        };
        let targets: Vec<_> = account
            .iter()
            .map(|it| TargetId(*it.id.as_bytes()))
            .collect();
        let compiled = caches.compiled(&BTreeSet::new(), attached).await?;
        let rules = rules_at(&targets, &compiled);
        Ok(caches.slice(uid, entities, account, targets, rules, TargetId::NONE))
    }

    /// Accounts, and the policies of them and of these
    /// targets. Always the same statements, whatever is there.
    async fn load_owners(
        &self,
        accounts: BTreeSet<String>,
        mut targets: Vec<TargetId>,
    ) -> Result<(BTreeMap<String, Owner>, Vec<Attached>), Error> {
        let names: Vec<String> = accounts.into_iter().collect();
        let loaded = self.database.read(move |tx| {
            let accounts = store::policies::owners(tx, &names)?;
            targets.extend(accounts.iter().map(|(_, it)| TargetId(*it.id.as_bytes())));
            if targets.is_empty() {
                targets.push(TargetId::NONE);
            }
            let attached = store::policies::policies_of(tx, &targets)?;
            Ok::<_, landfall_database::Error>((accounts.into_iter().collect(), attached))
        });
        Ok(loaded.await?)
    }
}

/// Whether what is said about the action depends on the context.
fn looks_at_context(who: &Slice, what: &Slice, action: Action) -> bool {
    let mut rules = who.rules.iter().chain(&what.rules);
    rules.any(|(_, rules)| rules.is_contextual(action))
}
