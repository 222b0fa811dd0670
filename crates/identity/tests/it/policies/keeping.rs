//! Policies are made, changed, explained, tried, and deleted.

use landfall_identity::{Error, PolicyChange, Refusal, StatementOutcome};

use super::*;

const READS: &str = "permit (principal, action in Landfall::Action::\"read\", resource);";

fn on_repository(name: &str) -> PolicyTarget {
    PolicyTarget::Repository(repository(name))
}

fn of_principal(name: &str) -> PolicyTarget {
    PolicyTarget::Principal(local(name))
}

on_both!(
    nothing_is_allowed_without_a_policy_and_a_forbid_wins,
    a_policy_of_ones_own_account_allows_nothing_in_another,
    a_repository_that_is_made_again_has_no_policies,
    a_wrong_policy_is_refused_with_its_place_and_changes_nothing,
    what_a_policy_names_has_to_be_there,
    an_explanation_names_the_statements_and_hides_those_of_other_accounts,
    a_simulation_tells_whose_access_changes_and_changes_nothing,
    what_can_not_be_compiled_any_more_refuses_all_that_it_could_speak_of,
    a_stored_policy_that_nests_too_deep_refuses_and_ends_no_server,
    the_registry_is_not_an_account_without_a_name,
    a_forbid_wins_over_anonymous_pull,
    a_decision_is_looked_up_once_whether_the_repository_is_there_or_not,
    a_scope_holds_what_policies_may_allow,
);

async fn nothing_is_allowed_without_a_policy_and_a_forbid_wins() {
    let town = Town::new().await;
    assert!(!town.may("acme/alice", Action::Pull, "acme/a").await);
    town.attach(
        "acme/all",
        of_principal("acme/alice"),
        "permit (principal, action, resource);",
    )
    .await;
    for action in [Action::Pull, Action::Push, Action::Delete] {
        assert!(town.may("acme/alice", action, "acme/a").await, "{action}");
        assert!(!town.may("acme/ci", action, "acme/a").await, "{action}");
    }
    assert!(town.may("acme/alice", Action::ManagePolicies, "acme").await);
    assert!(!town.may("acme/alice", Action::Administer, "").await);
    town.attach(
        "acme/frozen",
        on_repository("acme/a"),
        "forbid (principal, action in Landfall::Action::\"write\", resource);",
    )
    .await;
    let refused = town.asked("acme/alice", Action::Push, "acme/a", None).await;
    assert_eq!(refused.outcome, Err(Refusal::Denied));
    assert_eq!(&*refused.policies[0], "acme/frozen");
    assert!(town.may("acme/alice", Action::Pull, "acme/a").await);
    assert!(town.may("acme/alice", Action::Push, "acme/b").await);
}

async fn a_policy_of_ones_own_account_allows_nothing_in_another() {
    let town = Town::new().await;
    town.attach(
        "acme/all",
        of_principal("acme/alice"),
        "permit (principal, action, resource);",
    )
    .await;
    assert!(!town.may("acme/alice", Action::Pull, "beta/a").await);
    let bob = town.identity.principal_show(&local("beta/bob")).await;
    let id = bob.expect("bob").principal.id;
    town.attach(
        "acme/share",
        on_repository("acme/a"),
        &format!("permit (principal == Landfall::User::\"{id}\", action == Landfall::Action::\"pull\", resource);"),
    )
    .await;
    assert!(town.may("beta/bob", Action::Pull, "acme/a").await);
    assert!(!town.may("beta/bob", Action::Push, "acme/a").await);
    assert!(!town.may("beta/bob", Action::Pull, "acme/b").await);
}

async fn a_repository_that_is_made_again_has_no_policies() {
    let town = Town::new().await;
    town.attach("acme/public", on_repository("acme/a"), READS)
        .await;
    assert!(
        town.decided(&Caller::ANONYMOUS, Action::Pull, "acme/a", None)
            .await
            .is_allowed()
    );
    town.delete_repository("acme/a").await;
    town.repositories.make("acme/a");
    let refused = town
        .decided(&Caller::ANONYMOUS, Action::Pull, "acme/a", None)
        .await;
    assert_eq!(refused.outcome, Err(Refusal::Unauthenticated));
}

async fn a_wrong_policy_is_refused_with_its_place_and_changes_nothing() {
    let town = Town::new().await;
    let target = on_repository("acme/a");
    let long = format!("// {}\n{READS}", "x".repeat(40_000));
    let deep = format!(
        "permit (principal, action, resource) when {{ {}true{} }};",
        "(".repeat(5_000),
        ")".repeat(5_000)
    );
    let chain = format!(
        "permit (principal, action, resource) when {{ true{} }};",
        " && true".repeat(2_000)
    );
    let nots = format!(
        "permit (principal, action, resource) when {{ {}true }};",
        "!".repeat(3_000)
    );
    let hidden = format!("// x\r{deep}");
    let mut wrong = Vec::new();
    for (text, line, column, says) in [
        ("", 1, 1, "says nothing"),
        (
            "permit (principal, action, resource)",
            1,
            37,
            "unexpected end",
        ),
        (
            "permit (principal, action, resource);\npermot (principal, action, resource);",
            2,
            1,
            "permot",
        ),
        (
            "permit (\n  principal,\n  action == Landfall::Action::\"pul\",\n  resource\n);",
            3,
            13,
            "pul",
        ),
        (
            "permit (principal == ?principal, action, resource);",
            1,
            22,
            "slot",
        ),
        (
            "permit (principal == Landfall::User::\"alice\", action, resource);",
            1,
            38,
            "alice",
        ),
        (
            "permit (principal, action == Landfall::Action::\"pull\", resource) when { resource.nmae == \"x\" };",
            1,
            73,
            "nmae",
        ),
        (
            "permit (principal, action == Landfall::Action::\"pull\", resource == Landfall::Account::\"00000000-0000-0000-0000-000000000000\");",
            1,
            1,
            "",
        ),
        (&*long, 1, 1, "at most"),
        (&*deep, 1, 60, "nest"),
        (&*chain, 1, 354, "nests deeper"),
        (&*nots, 1, 83, "nests deeper"),
        (&*hidden, 1, 5, "control character"),
    ] {
        let made = town
            .identity
            .policy_create(&local("acme/p"), &target, text, &Caller::ANONYMOUS)
            .await;
        let Err(Error::Policy(errors)) = made else {
            panic!("{text:.200}: {made:?}");
        };
        let first = &errors.0[0];
        let placed = line == 0 || (first.line, first.column) == (line, column);
        if !placed || !first.to_string().contains(says) {
            wrong.push(format!("{text:.120}: {errors}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let listed = town
        .identity
        .policy_list("acme", None, 10)
        .await
        .expect("list");
    assert!(listed.entries.is_empty());
}

async fn what_a_policy_names_has_to_be_there() {
    let town = Town::new().await;
    let by = Caller::ANONYMOUS;
    for target in [
        of_principal("acme/nobody"),
        PolicyTarget::Group(local("acme/nobody")),
        on_repository("acme/nothing"),
    ] {
        let made = town
            .identity
            .policy_create(&local("acme/p"), &target, READS, &by)
            .await;
        assert!(
            matches!(made, Err(Error::NotFound { .. })),
            "{target:?}: {made:?}"
        );
    }
    let target = PolicyTarget::Account("nowhere".to_owned());
    let made = town
        .identity
        .policy_create(&local("nowhere/p"), &target, READS, &by)
        .await;
    assert!(matches!(made, Err(Error::NotFound { .. })), "{made:?}");
    let elsewhere = on_repository("beta/a");
    let made = town
        .identity
        .policy_create(&local("acme/p"), &elsewhere, READS, &by)
        .await;
    assert!(matches!(made, Err(Error::Invalid { .. })), "{made:?}");
    for name in ["acme/p", "nowhere/p"] {
        let updated = town.identity.policy_update(&local(name), READS, &by).await;
        assert!(
            matches!(updated, Err(Error::NotFound { .. })),
            "{updated:?}"
        );
        let deleted = town.identity.policy_delete(&local(name), &by).await;
        assert!(
            matches!(deleted, Err(Error::NotFound { .. })),
            "{deleted:?}"
        );
    }
    town.attach("acme/p", on_repository("acme/a"), READS).await;
    let again = town
        .identity
        .policy_create(&local("acme/p"), &on_repository("acme/b"), READS, &by)
        .await;
    assert!(matches!(again, Err(Error::Exists { .. })), "{again:?}");
}

async fn an_explanation_names_the_statements_and_hides_those_of_other_accounts() {
    let town = Town::new().await;
    town.attach("acme/public", on_repository("acme/a"), READS)
        .await;
    town.attach(
        "beta/stay",
        of_principal("beta/bob"),
        "forbid (principal, action == Landfall::Action::\"pull\", resource) when { context has tag && context.tag == \"old\" };",
    )
    .await;
    town.attach(
        "acme/admin",
        of_principal("acme/alice"),
        "permit (principal, action, resource);",
    )
    .await;
    let by = town.caller("acme/alice").await;
    let name = repository("acme/a");
    let bob = local("beta/bob");
    let explain = |tag| {
        town.identity.policy_explain(
            Some(&bob),
            Action::Pull,
            Resource::Repository(&name),
            tag,
            None,
            &by,
        )
    };
    let allowed = explain(Some("new")).await.expect("explained");
    assert!(allowed.decision.is_allowed());
    assert_eq!(&*allowed.decision.policies[0], "acme/public");
    let told: Vec<_> = allowed
        .statements
        .iter()
        .map(|says| (says.policy.as_str(), says.number))
        .collect();
    assert_eq!(told, [("acme/public", 1)]);
    assert_eq!(allowed.statements[0].outcome, StatementOutcome::Applies);
    assert!(allowed.hidden);
    let refused = explain(Some("old")).await.expect("explained");
    assert!(!refused.decision.is_allowed());
    assert!(
        refused.decision.policies.is_empty(),
        "beta's policy is beta's"
    );
    let senseless = town
        .identity
        .policy_explain(
            None,
            Action::ReadAudit,
            Resource::Repository(&name),
            None,
            None,
            &by,
        )
        .await;
    assert!(
        matches!(senseless, Err(Error::Invalid { .. })),
        "{senseless:?}"
    );
}

async fn a_simulation_tells_whose_access_changes_and_changes_nothing() {
    let town = Town::new().await;
    town.attach(
        "acme/readers",
        PolicyTarget::Group(local("acme/makers")),
        READS,
    )
    .await;
    let by = town.caller("acme/ci").await;
    let joined = town
        .identity
        .group_add(&local("acme/makers"), &local("acme/ci"), &by)
        .await;
    joined.expect("joined");
    let seen = landfall_identity::AuditEvent::new(&by, "pull", "repository", "acme/a");
    town.identity.audit(seen).await.expect("written");
    let delete = PolicyChange::Delete {
        name: local("acme/readers"),
    };
    let simulated = town
        .identity
        .policy_simulate(&delete)
        .await
        .expect("simulated");
    let told: Vec<_> = simulated
        .changes
        .iter()
        .map(|change| {
            (
                change.principal.as_str(),
                change.action,
                change.resource.as_str(),
                change.before,
                change.after,
            )
        })
        .collect();
    assert!(
        told.contains(&("acme/ci", Action::Pull, "acme/a", true, false)),
        "{told:?}"
    );
    assert!(
        told.iter().all(|(principal, ..)| *principal == "acme/ci"),
        "{told:?}"
    );
    assert!(
        town.may("acme/ci", Action::Pull, "acme/a").await,
        "nothing was changed"
    );
    let create = PolicyChange::Create {
        target: on_repository("acme/b"),
        text: READS.to_owned(),
    };
    let simulated = town
        .identity
        .policy_simulate(&create)
        .await
        .expect("simulated");
    let anybody = simulated
        .changes
        .iter()
        .filter(|change| change.principal == "anonymous");
    assert_eq!(
        anybody
            .map(|change| change.resource.as_str())
            .collect::<Vec<_>>(),
        ["acme/b"]
    );
}

async fn what_can_not_be_compiled_any_more_refuses_all_that_it_could_speak_of() {
    let town = Town::new().await;
    town.attach(
        "acme/all",
        of_principal("acme/alice"),
        "permit (principal, action, resource);",
    )
    .await;
    town.attach("acme/one", on_repository("acme/a"), READS)
        .await;
    let broken = town.database.write(|tx| {
        tx.execute(
            "update policy set text = 'of a later language' where name = 'one'",
            landfall_database::params![],
        )?;
        epoch::bump(tx, epoch::ACCESS)
    });
    broken.await.expect("broken");
    town.identity.refresh().await.expect("refresh");
    let refused = town.asked("acme/alice", Action::Pull, "acme/a", None).await;
    assert_eq!(refused.outcome, Err(Refusal::Denied));
    assert_eq!(&*refused.policies[0], "acme/one");
    assert!(town.may("acme/alice", Action::Pull, "acme/b").await);
}

async fn a_stored_policy_that_nests_too_deep_refuses_and_ends_no_server() {
    let town = Town::new().await;
    town.attach("acme/one", on_repository("acme/a"), READS)
        .await;
    assert!(town.may("beta/bob", Action::Pull, "acme/a").await);
    let deep = format!(
        "permit (principal, action, resource) when {{ {}true }};",
        "if true then true else ".repeat(90)
    );
    let stored = town.database.write(move |tx| {
        tx.execute(
            "update policy set text = ?1 where name = 'one'",
            landfall_database::params![deep],
        )?;
        epoch::bump(tx, epoch::ACCESS)
    });
    stored.await.expect("stored");
    town.identity.refresh().await.expect("refresh");
    let refused = town.asked("beta/bob", Action::Pull, "acme/a", None).await;
    assert_eq!(refused.outcome, Err(Refusal::Denied));
    assert_eq!(&*refused.policies[0], "acme/one");
}

async fn the_registry_is_not_an_account_without_a_name() {
    let town = Town::new().await;
    let nobody = Caller::ANONYMOUS;
    let target = PolicyTarget::Account("admin".to_owned());
    let text = "permit (principal, action == Landfall::Action::\"list-catalog\", resource);";
    town.attach("admin/catalog", target, text).await;
    let long = "a".repeat(56_000);
    for name in ["", "/", &long] {
        let asked = Ask {
            caller: &nobody,
            action: Action::ReadAccount,
            resource: Resource::Account(name),
            tag: None,
        };
        let decided = town.identity.authorize(&asked).await.expect("decided");
        assert!(!decided.is_allowed());
    }
    let decided = town.decided(&nobody, Action::ListCatalog, "", None).await;
    assert!(decided.is_allowed(), "{decided:?}");
}

async fn a_forbid_wins_over_anonymous_pull() {
    let town = Town::with(true).await;
    let nobody = Caller::ANONYMOUS;
    let pull = |on| town.decided(&nobody, Action::Pull, on, None);
    assert!(pull("acme/a").await.is_allowed());
    town.attach(
        "acme/closed",
        on_repository("acme/a"),
        "forbid (principal, action, resource);",
    )
    .await;
    assert_eq!(pull("acme/a").await.outcome, Err(Refusal::Unauthenticated));
    assert!(pull("acme/b").await.is_allowed());
}

async fn a_decision_is_looked_up_once_whether_the_repository_is_there_or_not() {
    let town = Town::new().await;
    for name in ["acme/a", "acme/nothing"] {
        let before = town.repositories.asked();
        for _ in 0..5 {
            assert!(!town.may("acme/alice", Action::Pull, name).await);
            assert!(!town.may("beta/bob", Action::Push, name).await);
        }
        assert_eq!(town.repositories.asked() - before, 1, "{name}");
    }
    // The next epoch forgets it.
    let group = PolicyTarget::Group(local("acme/makers"));
    town.attach("acme/readers", group, READS).await;
    let before = town.repositories.asked();
    assert!(!town.may("acme/alice", Action::Pull, "acme/a").await);
    assert_eq!(town.repositories.asked() - before, 1);
}

async fn a_scope_holds_what_policies_may_allow() {
    let town = Town::new().await;
    let text = "permit (principal, action in Landfall::Action::\"read\", resource);
        permit (principal, action == Landfall::Action::\"push\", resource)
        when { context has tag && context.tag like \"dev-*\" };";
    town.attach("acme/dev", of_principal("acme/alice"), text)
        .await;
    let alice = town.caller("acme/alice").await;
    let asked = [
        "repository:acme/a:pull,push,delete",
        "repository:beta/a:pull",
    ];
    let asked = asked.map(|scope| scope.parse().expect("scope")).to_vec();
    let issued = town.identity.token_issue(&alice, asked).await;
    let token = issued.expect("a token").token;
    let caller = town.identity.caller_by_token(token.reveal(), None).await;
    let caller = caller.expect("a caller");
    let may = |action, on, tag| town.decided(&caller, action, on, tag);
    assert!(may(Action::Pull, "acme/a", None).await.is_allowed());
    assert!(
        may(Action::Push, "acme/a", Some("dev-1"))
            .await
            .is_allowed()
    );
    let tagged = may(Action::Push, "acme/a", Some("v1")).await;
    assert_eq!(tagged.outcome, Err(Refusal::Denied));
    for (action, on) in [(Action::Delete, "acme/a"), (Action::Pull, "beta/a")] {
        let refused = may(action, on, None).await;
        assert_eq!(refused.outcome, Err(Refusal::OutOfScope), "{action}");
    }
}
