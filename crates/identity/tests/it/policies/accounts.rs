//! Accounts that are deleted or disabled, and what belongs to them.

use landfall_identity::Refusal;

use super::*;

on_both!(
    nobody_gets_at_repositories_of_a_deleted_account,
    policies_of_a_disabled_account_go_on_to_apply,
);

const ALL: &str = "permit (principal, action, resource);";
const NO_PUSH: &str = "forbid (principal, action == Landfall::Action::\"push\", resource);";

impl Town {
    /// Anybody may do anything to `acme/a`, but for pushes to the account.
    async fn opened() -> Self {
        let town = Self::with(true).await;
        let target = PolicyTarget::Repository(repository("acme/a"));
        town.attach("acme/open", target, ALL).await;
        let target = PolicyTarget::Account("acme".to_owned());
        town.attach("acme/frozen", target, NO_PUSH).await;
        assert!(town.may("beta/bob", Action::Pull, "acme/a").await);
        assert!(town.may("beta/bob", Action::Delete, "acme/a").await);
        assert!(!town.may("beta/bob", Action::Push, "acme/a").await);
        town
    }
}

async fn nobody_gets_at_repositories_of_a_deleted_account() {
    let town = Town::opened().await;
    let nobody = Caller::ANONYMOUS;
    let deleted = town.identity.account_delete("acme", &nobody).await;
    deleted.expect("deleted");
    for action in [Action::Pull, Action::Push, Action::Delete] {
        for name in ["acme/a", "acme/b", "acme/new"] {
            let decided = town.asked("beta/bob", action, name, None).await;
            assert_eq!(decided.outcome, Err(Refusal::Denied), "{action} {name}");
            let decided = town.decided(&nobody, action, name, None).await;
            assert_eq!(decided.outcome, Err(Refusal::Unauthenticated), "{name}");
        }
    }
    let names = ["acme/a", "acme/b", "beta/a"].map(repository);
    let readable = town.identity.readable(&nobody, &names).await;
    assert_eq!(readable.expect("decided"), [false, false, true]);
}

async fn policies_of_a_disabled_account_go_on_to_apply() {
    let town = Town::opened().await;
    let nobody = Caller::ANONYMOUS;
    let disabled = town
        .identity
        .account_set_enabled("acme", false, &nobody)
        .await;
    disabled.expect("disabled");
    assert!(town.may("beta/bob", Action::Pull, "acme/a").await);
    assert!(!town.may("beta/bob", Action::Push, "acme/a").await);
}
