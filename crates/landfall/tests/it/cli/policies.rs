//! `landfall policy` and `landfall audit`.

use serde_json::Value;

use super::{World, assert_narrow};

/// A server with the account `acme`, its user `acme/ci`, and a policy file.
fn world(text: &str) -> (World, String) {
    let world = World::start();
    world.run(&["account", "create", "acme"]).ok();
    let make = ["principal", "create", "acme/ci", "--password-stdin"];
    world.run_with(&make, "a password\n").ok();
    let file = world.directory.path().join("policy.cedar");
    std::fs::write(&file, text).expect("writable");
    let file = file.display().to_string();
    (world, file)
}

const PUSH: &str = "permit (principal, action == Landfall::Action::\"push\", resource);\n";

#[tokio::test(flavor = "multi_thread")]
async fn explain_says_whether_somebody_may_and_which_policy_says_so() {
    let (world, file) = world(PUSH);
    let run = |words: &[&str]| world.run(words);
    let explain = [
        "policy",
        "explain",
        "--principal",
        "acme/ci",
        "--action",
        "push",
        "acme/web",
    ];
    let told = run(&explain).ok();
    assert_eq!(told, "acme/ci may not push acme/web: no policy allows it\n");
    let create = ["policy", "create", "acme/pushers", "--principal", "acme/ci"];
    let made = run(&[&create[..], &[&file]].concat()).ok();
    assert_eq!(made, "created acme/pushers\n");
    let told = run(&explain).ok();
    assert_eq!(
        told,
        "acme/ci may push acme/web, by this policy:\n  acme/pushers\n"
    );
    let told = run(&[&explain[..], &["-o", "json"]].concat()).json();
    assert_eq!(told["allowed"], true);

    let night = "forbid (principal, action == Landfall::Action::\"push\", resource)\n\
                 when { context has tag && context.tag == \"prod\" };\n";
    run(&["policy", "update", "acme/pushers", "--template", "writer"]).ok();
    let hold = [
        "policy",
        "create",
        "acme/hold",
        "--repository",
        "acme/web",
        "-",
    ];
    world.run_with(&hold, night).error();
    run(&["repo", "create", "acme/web"]).ok();
    world.run_with(&hold, night).ok();
    let told = run(&[&explain[..], &["--tag", "prod", "--source", "192.0.2.7"]].concat()).ok();
    assert_eq!(
        told,
        "acme/ci may not push acme/web, by this policy:\n  acme/hold\n"
    );

    let table = run(&["policy", "list", "--account", "acme"]).ok();
    assert_narrow(&table);
    assert!(table.contains("repository acme/web"), "{table}");
    let listed = run(&["policy", "list", "--account", "acme", "-o", "json"]).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
    let shown = run(&["policy", "show", "acme/hold"]).ok();
    assert!(shown.contains("context.tag == \"prod\""), "{shown}");
    assert_eq!(
        run(&["policy", "delete", "acme/hold"]).ok(),
        "deleted acme/hold\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_with_its_file_line_and_column() {
    let wrong = "permit (\n  principal,\n  action == Landfall::Action::\"fly\",\n  resource\n);\n";
    let (world, file) = world(wrong);
    let place = format!("{file}:3:");
    let validated = world.run(&["policy", "validate", &file]).error();
    assert!(validated.starts_with(&place), "{validated}");
    let create = [
        "policy",
        "create",
        "acme/wrong",
        "--principal",
        "acme/ci",
        &file,
    ];
    let refused = world.run(&create).error();
    assert_eq!(refused, validated);
    let from_input = world.run_with(&["policy", "validate", "-"], wrong).error();
    assert!(from_input.starts_with("standard input:3:"), "{from_input}");
    let json = world.run(&["policy", "validate", &file, "-o", "json"]);
    let told: Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(
        (json.code, &told["errors"][0]["line"]),
        (1, &Value::from(3))
    );
    let valid = world.run_with(&["policy", "validate", "-"], PUSH).ok();
    assert_eq!(valid, "standard input is valid\n");

    let none = world.run(&["policy", "validate", "/nonexistent"]).error();
    assert!(none.starts_with("`/nonexistent` can't be read"), "{none}");
    let none = world.run(&["policy", "template", "show", "wizard"]).error();
    assert!(
        none.contains("no template `wizard`") && none.contains("`reader`"),
        "{none}"
    );
    for words in [
        &["policy", "create", "acme/x", &file][..],
        &["policy", "create", "acme/x", "--group", "acme/x"],
        &["policy", "simulate", &file],
    ] {
        let ran = world.run(words);
        assert_eq!(ran.code, 2, "{words:?}: {ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_and_the_schema_are_printed_and_each_template_is_valid() {
    let (world, _) = world(PUSH);
    let names = world
        .run(&["policy", "template", "list", "-o", "json"])
        .json();
    assert_narrow(&world.run(&["policy", "template", "list"]).ok());
    for name in ["reader", "writer", "admin", "scanner", "deployer"] {
        let templates = names.as_array().expect("a list");
        assert!(templates.iter().any(|each| each["name"] == name), "{names}");
        let text = world.run(&["policy", "template", "show", name]).ok();
        world.run_with(&["policy", "validate", "-"], &text).ok();
    }
    let schema = world.run(&["policy", "schema"]).ok();
    assert!(schema.contains("namespace Landfall"), "{schema}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_tried_on_what_the_audit_log_has_seen_and_refusals_are_found_there() {
    let (world, file) = world(PUSH);
    world.run(&["repo", "create", "acme/web"]).ok();
    let ci = |words: &[&str]| world.as_user("acme/ci", "a password", words);
    assert_eq!(
        ci(&["repo", "delete", "--yes", "acme/web"]).error(),
        "this caller may not do that"
    );

    let change = [
        "policy",
        "simulate",
        "--principal",
        "acme/ci",
        &file,
        "-o",
        "json",
    ];
    let told = world.run(&change).json();
    let changes = told["changes"].as_array().expect("changes");
    let push = changes.iter().find(|each| {
        each["principal"] == "acme/ci" && each["action"] == "push" && each["resource"] == "acme/web"
    });
    let push = push.unwrap_or_else(|| panic!("{told}"));
    assert_eq!(
        (&push["before"], &push["after"]),
        (&"refused".into(), &"allowed".into())
    );
    let listed = world
        .run(&["policy", "list", "--account", "acme", "-o", "json"])
        .json();
    assert_eq!(
        listed,
        Value::Array(Vec::new()),
        "a simulation has changed something"
    );

    let words = ["audit", "list", "--account", "acme", "--outcome", "refused"];
    let rows = world.run(&[&words[..], &["-o", "json"]].concat()).json();
    assert_eq!(rows[0]["principal"]["name"], "acme/ci", "{rows}");
    assert_eq!(rows[0]["resource"]["name"], "acme/web", "{rows}");
    let table = world.run(&words).ok();
    assert_narrow(&table);
    assert!(
        table.contains("acme/ci") && table.contains("refused"),
        "{table}"
    );
    let out = world
        .directory
        .path()
        .join("audit.jsonl")
        .display()
        .to_string();
    let wrote = world
        .run(&["audit", "export", "--account", "acme", &out])
        .ok();
    let text = std::fs::read_to_string(&out).expect("the export");
    let count = text.lines().count();
    assert_eq!(wrote, format!("wrote {count} rows to {out}\n"));
    assert!(text.contains("account.create") || count > 2, "{text}");
    let piped = world
        .run(&["audit", "export", "--account", "acme", "-"])
        .ok();
    assert!(
        piped.starts_with(&text),
        "what was written is told otherwise"
    );
    assert_eq!(
        ci(&["audit", "list"]).error(),
        "this caller may not do that"
    );
}
