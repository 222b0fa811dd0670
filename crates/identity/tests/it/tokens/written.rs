//! What ends tokens is written down, or does not happen.

use super::*;

on_each!(nothing_ends_and_nothing_is_made_without_its_line_in_the_audit_log);

async fn nothing_ends_and_nothing_is_made_without_its_line_in_the_audit_log(kind: Kind) {
    let place = Place::new(kind).await;
    let identity = place.server().await;
    let (_, caller) = user(&identity, "alice").await;
    let by = admin(&identity).await;
    let principal = caller.principal.as_ref().expect("somebody").id;
    let (id, token) = authorization(&identity, &caller).await;
    let signing = identity.signing_keys().await.expect("keys");

    rename(&place.database, "audit", "elsewhere").await;
    let failed = [
        identity.token_revoke(id, &by).await.is_err(),
        identity
            .principal_tokens_revoke(principal, &by)
            .await
            .is_err(),
        identity.signing_key_rotate(&by).await.is_err(),
        identity
            .signing_key_revoke(signing[0].id, &by)
            .await
            .is_err(),
        identity
            .authorization_token_issue(&caller, None)
            .await
            .is_err(),
    ];
    rename(&place.database, "elsewhere", "audit").await;
    assert_eq!(failed, [true; 5]);

    identity.refresh().await.expect("read again");
    assert_eq!(reason(&identity, &token).await, "good");
    assert_eq!(identity.signing_keys().await.expect("keys"), signing);
    let listed = identity.authorization_token_list(principal, None, 10).await;
    let listed = listed.expect("a list").entries;
    assert_eq!(listed.len(), 1, "a token was made");
    assert_eq!(listed[0].revoked, None);
}

async fn rename(database: &Database, from: &'static str, to: &'static str) {
    let renamed = database
        .write(move |tx| tx.execute(&format!("alter table {from} rename to {to}"), &[]))
        .await;
    renamed.expect("renamed");
}
