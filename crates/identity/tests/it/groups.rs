//! Groups: flat, and of one account.

use landfall_identity::{Error, PrincipalKind};

use crate::world::{World, local};

on_both!(
    a_group_holds_principals_of_its_own_account,
    a_deleted_group_leaves_its_members_and_a_deleted_principal_its_groups,
    a_principal_is_in_a_bounded_number_of_groups,
);

async fn a_group_holds_principals_of_its_own_account() {
    let world = World::new().await;
    let admin = world.admin().await;
    let alice = world.make("acme/alice", PrincipalKind::User).await;
    let bob = world.make("acme/bob", PrincipalKind::User).await;
    let eve = world.make("other/eve", PrincipalKind::User).await;
    let group = local("acme/developers");
    let made = world.group_create(&group, &admin).await.expect("a group");
    assert_eq!(world.group_show(&group).await.expect("shown"), made);
    let twice = world.group_create(&group, &admin).await;
    assert!(matches!(twice, Err(Error::Exists { .. })));
    for member in [&bob, &alice, &bob] {
        let added = world.group_add(&group, member, &admin).await;
        added.expect("added, or in it already");
    }
    let stranger = world.group_add(&group, &eve, &admin).await;
    assert!(
        matches!(stranger, Err(Error::Invalid { .. })),
        "{stranger:?}"
    );
    let nobody = world.group_add(&group, &local("acme/nobody"), &admin).await;
    assert!(matches!(nobody, Err(Error::NotFound { .. })));
    let members = world.group_members(&group).await.expect("members");
    assert_eq!(members, [alice.clone(), bob.clone()]);
    let groups = world.principal_groups(&alice).await.expect("groups");
    assert_eq!(groups, std::slice::from_ref(&group));
    world
        .group_remove(&group, &alice, &admin)
        .await
        .expect("removed");
    let again = world.group_remove(&group, &alice, &admin).await;
    assert!(matches!(again, Err(Error::NotFound { .. })));
    assert_eq!(world.group_members(&group).await.expect("members"), [bob]);
    let page = world.group_list("acme", None, 10).await.expect("a page");
    assert_eq!((page.entries, page.more), (vec![made], false));
    let other = world.group_list("other", None, 10).await.expect("a page");
    assert!(other.entries.is_empty());
}

async fn a_deleted_group_leaves_its_members_and_a_deleted_principal_its_groups() {
    let world = World::new().await;
    let admin = world.admin().await;
    let alice = world.make("acme/alice", PrincipalKind::User).await;
    let bob = world.make("acme/bob", PrincipalKind::User).await;
    let (one, two) = (local("acme/one"), local("acme/two"));
    for group in [&one, &two] {
        world.group_create(group, &admin).await.expect("a group");
        for member in [&alice, &bob] {
            world.group_add(group, member, &admin).await.expect("added");
        }
    }
    world.group_delete(&one, &admin).await.expect("deleted");
    let shown = world.group_show(&one).await;
    assert!(matches!(shown, Err(Error::NotFound { .. })));
    let groups = world.principal_groups(&alice).await;
    assert_eq!(groups.expect("groups"), std::slice::from_ref(&two));
    world
        .principal_delete(&alice, &admin)
        .await
        .expect("deleted");
    assert_eq!(world.group_members(&two).await.expect("members"), [bob]);
    // The next group of that name is another one.
    let made = world.group_create(&one, &admin).await.expect("a group");
    assert!(world.group_members(&one).await.expect("members").is_empty());
    assert_eq!(world.group_show(&one).await.expect("shown").id, made.id);
}

async fn a_principal_is_in_a_bounded_number_of_groups() {
    let world = World::new().await;
    let admin = world.admin().await;
    let alice = world.make("acme/alice", PrincipalKind::User).await;
    for number in 0..65 {
        let group = local(&format!("acme/g{number}"));
        world.group_create(&group, &admin).await.expect("a group");
        let added = world.group_add(&group, &alice, &admin).await;
        assert_eq!(added.is_ok(), number < 64, "{number}: {added:?}");
    }
    let groups = world.principal_groups(&alice).await.expect("groups");
    assert_eq!(groups.len(), 64);
}
