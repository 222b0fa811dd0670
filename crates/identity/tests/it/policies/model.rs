//! The sliced, remembered decision is that of the language's own evaluator over
//! all policies at once: for generated policies, and histories of changes.
//!
//! The reference writes the pins as text, holds all entities, and remembers
//! nothing.

use cedar_policy::{
    Authorizer, Context, Decision as Verdict, Effect, Entities, EntityUid, Policy as Statement,
    PolicySet, Request, Schema,
};
use landfall_house::Rounds;
use landfall_identity::Error;
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
    test_runner::{Config, FileFailurePersistence, TestRunner},
};
use serde_json::{Value, json};

use super::*;

/// One statement, before it knows the identities of the day.
#[derive(Debug, Clone)]
struct Sketch {
    forbids: bool,
    who: &'static str,
    action: &'static str,
    what: &'static str,
    when: &'static str,
}

#[derive(Debug, Clone)]
enum Change {
    Add(Index, Vec<Sketch>),
    Update(Index, Vec<Sketch>),
    Delete(Index),
    Join(Index),
    Leave(Index),
    DeleteRepository(Index),
    MakeRepository(Index),
    Advance,
}

fn sketch() -> impl Strategy<Value = Sketch> {
    let who = select(vec![
        "principal",
        "principal",
        "principal == Landfall::User::\"<acme/alice>\"",
        "principal == Landfall::Host::\"<beta/host>\"",
        "principal == Landfall::Anonymous::\"anonymous\"",
        "principal is Landfall::Robot",
        "principal in Landfall::Group::\"<acme/makers>\"",
        "principal in Landfall::Group::\"<beta/readers>\"",
        "principal in Landfall::Account::\"<beta>\"",
    ]);
    let action = select(vec![
        "action",
        "action == Landfall::Action::\"pull\"",
        "action == Landfall::Action::\"push\"",
        "action in Landfall::Action::\"read\"",
        "action in Landfall::Action::\"write\"",
        "action in [Landfall::Action::\"pull\", Landfall::Action::\"delete\"]",
    ]);
    let what = select(vec![
        "resource",
        "resource",
        "resource is Landfall::Repository",
        "resource == Landfall::Repository::\"<acme/a>\"",
        "resource == Landfall::Repository::\"<beta/b>\"",
        "resource in Landfall::Account::\"<acme>\"",
    ]);
    let when = select(vec![
        "true",
        "true",
        "resource has name && resource.name like \"*/a\"",
        "principal has name && principal.name == \"ci\"",
        "principal has account && resource has account && principal.account == resource.account",
        "principal has account && principal.account.name == \"beta\"",
        "context has tag && context.tag like \"v*\"",
        "!(context has tag)",
        "context has source && context.source.isInRange(ip(\"10.0.0.0/8\"))",
        "context.time < datetime(\"2027-01-15T08:00:05Z\")",
        "context.credential == \"none\"",
        // These can't be evaluated.
        "9223372036854775807 + 1 > 0",
        "resource has name && resource.name like \"*/a\" && 9223372036854775807 + 1 > 0",
        "context has tag && 9223372036854775807 + 1 > 0",
    ]);
    (prop::bool::weighted(0.35), who, action, what, when).prop_map(
        |(forbids, who, action, what, when)| Sketch {
            forbids,
            who,
            action,
            what,
            when,
        },
    )
}

fn change() -> impl Strategy<Value = Change> {
    let sketches = || vec(sketch(), 1..4);
    prop_oneof![
        6 => (any::<Index>(), sketches()).prop_map(|(at, text)| Change::Add(at, text)),
        2 => (any::<Index>(), sketches()).prop_map(|(at, text)| Change::Update(at, text)),
        1 => any::<Index>().prop_map(Change::Delete),
        2 => any::<Index>().prop_map(Change::Join),
        1 => any::<Index>().prop_map(Change::Leave),
        1 => any::<Index>().prop_map(Change::DeleteRepository),
        1 => any::<Index>().prop_map(Change::MakeRepository),
        1 => Just(Change::Advance),
    ]
}

/// What a policy can be attached to.
fn targets() -> Vec<PolicyTarget> {
    let people = PEOPLE.map(|(name, _)| PolicyTarget::Principal(local(name)));
    let groups = GROUPS.map(|name| PolicyTarget::Group(local(name)));
    let repositories = REPOSITORIES.map(|name| PolicyTarget::Repository(repository(name)));
    let accounts = ["acme", "beta"].map(|name| PolicyTarget::Account(name.to_owned()));
    people
        .into_iter()
        .chain(groups)
        .chain(repositories)
        .chain(accounts)
        .collect()
}

/// A policy as the reference knows it: its statements, held in place.
struct Known {
    name: String,
    pin: [String; 2],
    statements: Vec<Statement>,
}

struct Run {
    town: Town,
    schema: Schema,
    known: Vec<Known>,
    members: Vec<(usize, usize)>,
    made: usize,
}

impl Run {
    async fn new() -> Self {
        let town = Town::with(false).await;
        let schema = town.identity.policy_schema();
        Self {
            schema: Schema::from_cedarschema_str(schema).expect("schema").0,
            town,
            known: Vec::new(),
            members: Vec::new(),
            made: 0,
        }
    }

    /// The identity of whatever has the name.
    async fn id(&self, name: &str) -> String {
        let identity = &self.town.identity;
        if GROUPS.contains(&name) {
            let group = identity.group_show(&local(name)).await;
            group.expect("group").id.to_string()
        } else if REPOSITORIES.contains(&name) {
            let id = self.town.repositories.find(&repository(name));
            // One that is gone: an identity that nothing has any more.
            id.unwrap_or_else(|| RepositoryId::new_at(1)).to_string()
        } else if name.contains('/') {
            let principal = identity.principal_show(&local(name)).await;
            principal.expect("principal").principal.id.to_string()
        } else {
            let account = identity.account_show(name).await;
            account.expect("account").id.to_string()
        }
    }

    /// The text with `<name>` replaced by identities.
    async fn fill(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("\"<") {
            let (name, later) = after.split_once(">\"").expect("a closed name");
            filled.extend([before, "\"", &self.id(name).await, "\""]);
            rest = later;
        }
        filled + rest
    }

    async fn text(&self, sketch: &Sketch, pin: &str) -> String {
        let effect = if sketch.forbids { "forbid" } else { "permit" };
        let text = format!(
            "{effect} ({}, {}, {}) {pin} when {{ {} }};",
            sketch.who, sketch.action, sketch.what, sketch.when
        );
        self.fill(&text).await
    }

    /// The pins of a target: of its permits, and of its forbids.
    async fn pin(&self, target: &PolicyTarget) -> [String; 2] {
        let name = target.name();
        let id = self.id(&name).await;
        match target {
            PolicyTarget::Principal(_) => {
                let kind = PEOPLE.iter().find(|(each, _)| *each == name);
                let kind = format!("{:?}", kind.expect("one of us").1);
                let who = format!("when {{ principal == Landfall::{kind}::\"{id}\" }}");
                let account = self.id(&target.account()).await;
                let on = format!("when {{ resource in Landfall::Account::\"{account}\" }}");
                [format!("{who} {on}"), who]
            }
            PolicyTarget::Group(_) => {
                let who = format!("when {{ principal in Landfall::Group::\"{id}\" }}");
                let account = self.id(&target.account()).await;
                let on = format!("when {{ resource in Landfall::Account::\"{account}\" }}");
                [format!("{who} {on}"), who]
            }
            PolicyTarget::Repository(_) => {
                let on = format!("when {{ resource == Landfall::Repository::\"{id}\" }}");
                [on.clone(), on]
            }
            PolicyTarget::Account(_) => {
                let on = format!("when {{ resource in Landfall::Account::\"{id}\" }}");
                [on.clone(), on]
            }
        }
    }

    async fn written(&self, sketches: &[Sketch]) -> String {
        let mut text = String::new();
        for sketch in sketches {
            text += &self.text(sketch, "").await;
            text.push('\n');
        }
        text
    }

    async fn held(&self, name: &str, pin: &[String; 2], sketches: &[Sketch]) -> Vec<Statement> {
        let mut statements = Vec::new();
        for (number, sketch) in sketches.iter().enumerate() {
            let text = self.text(sketch, &pin[usize::from(sketch.forbids)]).await;
            let id = cedar_policy::PolicyId::new(format!("{name}/{number}"));
            statements.push(Statement::parse(Some(id), text).expect("it was taken"));
        }
        statements
    }

    async fn apply(&mut self, change: &Change) {
        let by = Caller::ANONYMOUS;
        match change {
            Change::Add(at, sketches) => {
                let targets = targets();
                let target = at.get(&targets);
                let name = format!("{}/p{}", target.account(), self.made);
                self.made += 1;
                let text = self.written(sketches).await;
                let identity = &self.town.identity;
                match identity
                    .policy_create(&local(&name), target, &text, &by)
                    .await
                {
                    Ok(_) => {
                        let pin = self.pin(target).await;
                        let statements = self.held(&name, &pin, sketches).await;
                        self.known.push(Known {
                            name,
                            pin,
                            statements,
                        });
                    }
                    // Some can apply to nothing, some repositories are gone.
                    Err(Error::Policy(_) | Error::NotFound { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            Change::Update(at, sketches) if !self.known.is_empty() => {
                let at = at.index(self.known.len());
                let name = self.known[at].name.clone();
                let text = self.written(sketches).await;
                let identity = &self.town.identity;
                match identity.policy_update(&local(&name), &text, &by).await {
                    Ok(_) => {
                        let pin = self.known[at].pin.clone();
                        self.known[at].statements = self.held(&name, &pin, sketches).await;
                    }
                    Err(Error::Policy(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            Change::Delete(at) if !self.known.is_empty() => {
                let known = self.known.remove(at.index(self.known.len()));
                let name = local(&known.name);
                let deleted = self.town.identity.policy_delete(&name, &by);
                deleted.await.expect("deleted");
            }
            Change::Join(at) | Change::Leave(at) => {
                let who = at.index(PEOPLE.len());
                // Groups are of one account.
                let group = who / 2;
                let (name, of) = (local(PEOPLE[who].0), local(GROUPS[group]));
                let joins = matches!(change, Change::Join(_));
                let is_in = self.members.contains(&(who, group));
                if joins && !is_in {
                    let added = self.town.identity.group_add(&of, &name, &by).await;
                    added.expect("added");
                    self.members.push((who, group));
                } else if !joins && is_in {
                    let removed = self.town.identity.group_remove(&of, &name, &by).await;
                    removed.expect("removed");
                    self.members.retain(|member| *member != (who, group));
                }
            }
            Change::DeleteRepository(at) => {
                let name = REPOSITORIES[at.index(REPOSITORIES.len())];
                self.town.delete_repository(name).await;
            }
            Change::MakeRepository(at) => {
                let name = REPOSITORIES[at.index(REPOSITORIES.len())];
                if self.town.repositories.find(&repository(name)).is_none() {
                    self.town.repositories.make(name);
                }
            }
            Change::Advance => {
                self.town.clock.advance(Duration::from_secs(1));
            }
            Change::Update(..) | Change::Delete(_) => {}
        }
    }

    /// All entities there are.
    async fn entities(&self, asked: &str) -> Entities {
        let entity = |kind: &str, id: &str| json!({"type": format!("Landfall::{kind}"), "id": id});
        let mut all = Vec::new();
        for name in ["acme", "beta"] {
            let account = entity("Account", &self.id(name).await);
            all.push(json!({"uid": account, "attrs": {"name": name}, "parents": []}));
        }
        let attributes =
            |name: &str, account: &Value| json!({"name": name, "account": {"__entity": account}});
        for (at, name) in GROUPS.iter().enumerate() {
            let account = entity("Account", &self.id(["acme", "beta"][at]).await);
            let (_, short) = name.split_once('/').expect("a slash");
            let uid = entity("Group", &self.id(name).await);
            all.push(
                json!({"uid": uid, "attrs": attributes(short, &account), "parents": [account]}),
            );
        }
        for (who, (name, kind)) in PEOPLE.iter().enumerate() {
            let (account_name, short) = name.split_once('/').expect("a slash");
            let account = entity("Account", &self.id(account_name).await);
            let mut parents = vec![account.clone()];
            for (_, group) in self.members.iter().filter(|(member, _)| *member == who) {
                parents.push(entity("Group", &self.id(GROUPS[*group]).await));
            }
            let uid = entity(&format!("{kind:?}"), &self.id(name).await);
            all.push(json!({"uid": uid, "attrs": attributes(short, &account), "parents": parents}));
        }
        for name in REPOSITORIES {
            let id = self.town.repositories.find(&repository(name));
            if id.is_none() && name != asked {
                continue;
            }
            let id = id.map(|id| id.to_string()).unwrap_or_default();
            let (account_name, _) = name.split_once('/').expect("a slash");
            let account = entity("Account", &self.id(account_name).await);
            let uid = entity("Repository", &id);
            all.push(
                json!({"uid": uid, "attrs": attributes(name, &account), "parents": [account]}),
            );
        }
        Entities::from_json_value(Value::Array(all), Some(&self.schema)).expect("entities")
    }

    /// What the language says with all policies at once, and the policies that
    /// decide: a forbid that can't be evaluated forbids.
    fn reference(&self, request: &Request, entities: &Entities) -> (bool, Vec<String>) {
        let all = self.known.iter().flat_map(|known| known.statements.clone());
        let all = PolicySet::from_policies(all).expect("names differ");
        let answer = Authorizer::new().is_authorized(request, &all, entities);
        let mut forbids = Vec::new();
        for error in answer.diagnostics().errors() {
            let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
            let statement = all.policy(error.policy_id()).expect("one of them");
            if statement.effect() == Effect::Forbid {
                forbids.push(error.policy_id().to_string());
            }
        }
        let reasons = answer.diagnostics().reason().map(ToString::to_string);
        let (allowed, ids) = match answer.decision() {
            Verdict::Allow if forbids.is_empty() => (true, reasons.collect()),
            Verdict::Allow => (false, forbids),
            Verdict::Deny => (
                false,
                forbids.into_iter().chain(reasons).collect::<Vec<_>>(),
            ),
        };
        let mut names: Vec<String> = ids
            .iter()
            .filter_map(|id| id.rsplit_once('/').map(|(name, _)| name.to_owned()))
            .collect();
        names.sort();
        names.dedup();
        (allowed, names)
    }

    /// Both servers answer as the reference does, the first time and again.
    async fn agrees(&self, question: &Question) -> Result<(), TestCaseError> {
        let on = REPOSITORIES[question.on.index(REPOSITORIES.len())];
        let (mut caller, kind, id) = match question.who.index(PEOPLE.len() + 1) {
            4 => (
                Caller::ANONYMOUS,
                "Anonymous".to_owned(),
                "anonymous".to_owned(),
            ),
            who => {
                let (name, kind) = PEOPLE[who];
                (
                    self.town.caller(name).await,
                    format!("{kind:?}"),
                    self.id(name).await,
                )
            }
        };
        caller.source = question.source.map(|text| text.parse().expect("address"));
        let mut context = json!({
            "credential": "none",
            "time": {"__extn": {"fn": "datetime", "arg": self.time()}},
        });
        if let Some(tag) = question.tag {
            context["tag"] = json!(tag);
        }
        if let Some(source) = question.source {
            context["source"] = json!({"__extn": {"fn": "ip", "arg": source}});
        }
        let uid = |kind: &str, id: &str| -> EntityUid {
            format!("Landfall::{kind}::\"{id}\"").parse().expect("uid")
        };
        let action = uid("Action", question.action.cedar_id());
        let there = self.town.repositories.find(&repository(on));
        let resource = there.map(|id| id.to_string()).unwrap_or_default();
        let context = Context::from_json_value(context, Some((&self.schema, &action)));
        let request = Request::new(
            uid(&kind, &id),
            action,
            uid("Repository", &resource),
            context.expect("context"),
            Some(&self.schema),
        );
        let entities = self.entities(on).await;
        let (allowed, names) = self.reference(&request.expect("request"), &entities);
        let name = repository(on);
        let ask = Ask {
            caller: &caller,
            action: question.action,
            resource: Resource::Repository(&name),
            tag: question.tag,
        };
        for server in [&self.town.identity, &self.town.identity, &self.town.other] {
            let decision = server.authorize(&ask).await.expect("a decision");
            let told: Vec<String> = decision.policies.iter().map(ToString::to_string).collect();
            prop_assert_eq!(
                (decision.is_allowed(), &told),
                (allowed, &names),
                "{:?}\n{:?}",
                question,
                self.known
                    .iter()
                    .flat_map(|known| &known.statements)
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
            );
        }
        if question.action == Action::Pull {
            let caller = Caller {
                source: None,
                ..caller.clone()
            };
            let names = [name.clone()];
            let listed = self.town.other.readable(&caller, &names).await;
            let alone = Ask {
                caller: &caller,
                tag: None,
                ..ask
            };
            let alone = self.town.identity.authorize(&alone).await;
            let alone = alone.expect("a decision").is_allowed();
            prop_assert_eq!(listed.expect("listed"), vec![alone]);
        }
        Ok(())
    }

    fn time(&self) -> String {
        let time = landfall_clock::Clock::now(&*self.town.clock).to_string();
        format!("{}Z", &time[..23])
    }
}

#[derive(Debug, Clone)]
struct Question {
    who: Index,
    on: Index,
    action: Action,
    tag: Option<&'static str>,
    source: Option<&'static str>,
}

fn question() -> impl Strategy<Value = Question> {
    (
        any::<Index>(),
        any::<Index>(),
        select(vec![Action::Pull, Action::Push, Action::Delete]),
        select(vec![None, None, Some("v1"), Some("latest")]),
        select(vec![None, Some("10.1.2.3"), Some("192.0.2.1")]),
    )
        .prop_map(|(who, on, action, tag, source)| Question {
            who,
            on,
            action,
            tag,
            source,
        })
}

#[test]
fn the_sliced_and_remembered_decision_is_that_of_all_policies() {
    let rounds = Rounds::of("identity-policies");
    let total = rounds.total();
    let config = Config {
        cases: total,
        source_file: Some(file!()),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("seeds"))),
        max_shrink_iters: 300,
        ..Config::default()
    };
    let histories = vec((change(), vec(question(), 8)), 1..14);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let checked = TestRunner::new(config).run(&histories, |history| {
        runtime.block_on(async {
            let mut run = Run::new().await;
            for (change, questions) in &history {
                run.apply(change).await;
                run.town.other.refresh().await.expect("refresh");
                for question in questions {
                    run.agrees(question).await?;
                }
            }
            Ok(())
        })
    });
    if let Err(failure) = checked {
        panic!("{failure}");
    }
    rounds.completed(total);
}
