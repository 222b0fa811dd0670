//! `landfall account`, `principal`, `group`, `api-key`, `token` and
//! `signing-key`.

use std::io::Write;

use serde_json::json;

use super::{Ran, World, assert_narrow, landfall, scrub};

impl World {
    /// Runs a command as somebody else.
    pub(super) fn as_user(&self, user: &str, password: &str, words: &[&str]) -> Ran {
        let mut command = landfall(words);
        command
            .env("LANDFALL_SERVER", &self.server.url)
            .env("LANDFALL_USER", user)
            .env("LANDFALL_PASSWORD", password);
        command.output().expect("the program runs").into()
    }

    /// Runs a command as the administrator, with something on standard input.
    pub(super) fn run_with(&self, words: &[&str], input: &str) -> Ran {
        let mut command = landfall(words);
        command
            .env("LANDFALL_SERVER", &self.server.url)
            .env("LANDFALL_PASSWORD", crate::server::PASSWORD)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let mut child = command.spawn().expect("the program runs");
        let mut stdin = child.stdin.take().expect("piped");
        // A command that needs none may have ended.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("the program ends").into()
    }
}

/// The words of each line, without times and ids.
fn lines(ran: Ran) -> Vec<String> {
    let text = ran.ok();
    assert_narrow(&text);
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    scrub(&text).lines().map(words).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_principals_and_groups_are_made_listed_and_changed() {
    let world = World::start();
    let run = |words: &[&str]| world.run(words);
    assert_eq!(run(&["account", "create", "acme"]).ok(), "created acme\n");
    let words = ["principal", "create", "acme/alice", "--password-stdin"];
    let made = world.run_with(&words, "a password\n").ok();
    assert_eq!(made, "created acme/alice\n");
    run(&["principal", "create", "acme/ci", "--kind", "robot"]).ok();
    run(&["group", "create", "acme/devs"]).ok();
    let added = run(&["group", "add", "acme/devs", "acme/alice", "acme/ci"]).ok();
    assert_eq!(added, "added acme/alice\nadded acme/ci\n");
    run(&["group", "remove", "acme/devs", "acme/ci"]).ok();

    let listed = lines(run(&["principal", "list", "--account", "acme"]));
    assert_eq!(listed[0], "NAME KIND STATE CREATED");
    assert_eq!(listed[1], "acme/alice user enabled 0000-00-00 00:00:00");
    assert_eq!(listed[2], "acme/ci robot enabled 0000-00-00 00:00:00");
    let shown = lines(run(&["group", "show", "acme/devs"]));
    assert!(
        shown.contains(&"members acme/alice".to_owned()),
        "{shown:?}"
    );
    let shown = world.as_user("acme/alice", "a password", &["principal", "show", "~"]);
    assert!(lines(shown).contains(&"groups acme/devs".to_owned()));
    for (words, field) in [
        (&["account", "list"][..], "enabled"),
        (&["principal", "list", "--account", "acme"], "kind"),
        (&["group", "list", "--account", "acme"], "account"),
    ] {
        let json = run(&[words, &["-o", "json"]].concat()).json();
        assert!(json[0].get(field).is_some(), "{words:?}: {json}");
    }

    let off = run(&["principal", "disable", "acme/alice"]).ok();
    assert_eq!(off, "disabled acme/alice\n");
    let refused = world.as_user("acme/alice", "a password", &["principal", "show", "~"]);
    assert!(refused.error().contains("LANDFALL_PASSWORD"));
    run(&["principal", "enable", "acme/alice"]).ok();
    run(&["account", "disable", "acme"]).ok();
    let state = lines(run(&["account", "show", "acme"]));
    assert!(state.contains(&"state disabled".to_owned()), "{state:?}");
    run(&["group", "delete", "acme/devs"]).ok();
    run(&["principal", "delete", "acme/ci"]).ok();
    run(&["account", "delete", "acme"]).ok();
    let gone = run(&["account", "show", "acme"]).error();
    assert!(gone.contains("`acme`"), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_tokens_go_alone_to_standard_output_and_get_their_owner_in() {
    let world = World::start();
    world.run(&["principal", "create", "acme/ci"]).error();
    world.run(&["account", "create", "acme"]).ok();
    let robot = ["principal", "create", "acme/ci", "--kind", "robot"];
    world.run(&robot).ok();
    let create = ["api-key", "create", "acme/ci", "--expires", "90d"];
    let made = world.run(&create);
    assert!(made.stderr.contains("shown this once"), "{made:?}");
    let key = made.ok().trim().to_owned();
    assert!(key.starts_with("lfk_"), "{key}");
    let run = |words: &[&str]| world.as_user("acme/ci", &key, words);
    let listed = run(&["api-key", "list", "-o", "json"]).json();
    let id = listed[0]["id"].as_str().expect("an id").to_owned();
    assert_narrow(&run(&["api-key", "list"]).ok());

    let token = run(&["token", "create", "--lifetime", "1h"]).ok();
    let with_token = |words: &[&str]| world.as_user("token", token.trim(), words);
    let shown = with_token(&["principal", "show", "~", "-o", "json"]).json();
    assert_eq!(shown["name"], "acme/ci");
    let refused = with_token(&["api-key", "create"]).error();
    assert!(refused.contains("send the password"), "{refused}");
    run(&["token", "revoke", "--principal", "~"]).ok();
    with_token(&["principal", "show", "~"]).error();

    let rotated = run(&["api-key", "rotate", &id]).ok();
    run(&["principal", "show", "~"]).error();
    let rotated = rotated.trim();
    let of_rotated = |words: &[&str]| world.as_user("acme/ci", rotated, words);
    of_rotated(&["principal", "show", "~"]).ok();
    let deleted = world.run(&[
        "api-key",
        "delete",
        "--principal",
        "acme/ci",
        &id,
        "-o",
        "json",
    ]);
    assert_eq!(deleted.json(), json!({ "deleted": id }));
    of_rotated(&["principal", "show", "~"]).error();
    let neither = world.run(&["token", "revoke"]);
    assert_eq!(neither.code, 2, "{neither:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_changed_by_who_knows_them_and_signing_keys_are_rotated() {
    let world = World::start();
    let make = ["principal", "create", "carol", "--password-stdin"];
    world.run_with(&make, "her password\n").ok();
    let refused = world.run(&["principal", "set-password", "carol"]).error();
    assert!(refused.contains("LANDFALL_NEW_PASSWORD"), "{refused}");
    let empty = world.run_with(
        &["principal", "set-password", "carol", "--password-stdin"],
        "",
    );
    assert!(empty.error().contains("standard input"));
    let change = [
        "principal",
        "set-password",
        "~",
        "--new-password",
        "her new one",
    ];
    world.as_user("carol", "her password", &change).ok();
    world
        .as_user("carol", "her new one", &["principal", "show", "carol"])
        .ok();
    let of_admin = [
        "principal",
        "set-password",
        "admin",
        "--new-password",
        "a new one",
    ];
    let refused = world.as_user("carol", "her new one", &of_admin).error();
    assert_eq!(refused, "this caller may not do that");

    let rotated = world.run(&["signing-key", "rotate"]).ok();
    let id = rotated.split_whitespace().next().expect("an id");
    let listed = world.run(&["signing-key", "list", "-o", "json"]).json();
    let ids: Vec<_> = listed.as_array().expect("a list").iter().collect();
    assert_eq!(ids.len(), 2, "{listed}");
    assert!(ids.iter().any(|key| key["id"] == id), "{listed}");
    assert_narrow(&world.run(&["signing-key", "list"]).ok());
    assert_eq!(
        world.run(&["signing-key", "revoke", id]).ok(),
        format!("revoked {id}\n")
    );
}
