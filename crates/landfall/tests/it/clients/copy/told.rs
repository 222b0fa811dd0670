//! What people and programs are told.

use std::process::Output;

use super::{DockerRegistry, Layout, Options, PASSWORD, Scratch, World, copy};
use crate::clients::output_of;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The one line of a copy that fails as a whole.
fn error(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "");
    let told = text(&output.stderr);
    assert_eq!(told.lines().count(), 1, "{told}");
    let told = told
        .trim()
        .strip_prefix("error: ")
        .expect("an error")
        .to_owned();
    assert!(!told.ends_with('.'), "{told}");
    told
}

#[test]
fn what_goes_wrong_is_one_sentence() {
    let world = World::start();
    let fails = |words: &[&str]| error(&output_of(&mut world.command(words), ""));
    let layout = world.layout.transport("one");
    for (words, parts) in [
        (
            &["acme/none:1", "acme/web:1"][..],
            &["acme/none", "404"][..],
        ),
        (
            &["oci:/nowhere/at/all", "acme/web:1"],
            &["`/nowhere/at/all"],
        ),
        (
            &["docker-daemon:web", "acme/web:1"],
            &["docker-daemon:web", "oci:PATH"],
        ),
        (&[&layout, "acme/UPPER:1"], &["UPPER", "lowercase"]),
        (&[&layout, "acme/*"], &["acme/*", "end it with `/`"]),
        (
            &["--tags", "[a]", &layout, "acme/web"],
            &["`[a]`", "pattern"],
        ),
        (
            &[&layout, "docker://127.0.0.1:1/a/b"],
            &["127.0.0.1:1", "can't be reached"],
        ),
    ] {
        let told = fails(words);
        for part in parts {
            assert!(told.contains(part), "`{part}` is not in: {told}");
        }
    }
    let mut wrong = world.command(&[&layout, "acme/web:1"]);
    let told = error(&output_of(wrong.env("LANDFALL_PASSWORD", "wrong"), ""));
    assert!(
        told.contains("does not accept the login of `admin`"),
        "{told}"
    );
    let mut without = world.command(&[&layout, "acme/web:1"]);
    let told = error(&output_of(without.env_remove("LANDFALL_PASSWORD"), ""));
    assert!(told.contains("LANDFALL_PASSWORD"), "{told}");
    // The login may also be one that a client has saved.
    let saved = world.scratch.login(&world.server);
    let mut saved_login = world.command(&[&layout, "acme/web:1"]);
    saved_login
        .env_remove("LANDFALL_PASSWORD")
        .env("REGISTRY_AUTH_FILE", saved);
    assert!(output_of(&mut saved_login, "").status.success());
    // Or one that is given for this side.
    let creds = format!("admin:{PASSWORD}");
    let words = ["--dst-creds", &creds, &layout, "acme/web:2"];
    let mut given = copy(&world.server.url, &words);
    assert!(
        output_of(given.env_remove("LANDFALL_PASSWORD"), "")
            .status
            .success()
    );
}

#[test]
fn one_image_that_fails_keeps_no_other_from_being_copied() {
    let world = World::start();
    let peer = DockerRegistry::start(&world.scratch);
    for (tag, image) in [("one", "team/good:1"), ("two", "team/bad:1")] {
        world.copy(&[&world.layout.transport(tag), &peer.place(image)]);
    }
    let bad = world.path("peer/docker/registry/v2/repositories/team/bad/_layers/sha256");
    std::fs::remove_dir_all(bad).expect("the links of a repository");
    let pattern = peer.place("team/*");
    let output = output_of(&mut world.command(&[&pattern, "acme/"]), "");
    assert_eq!(output.status.code(), Some(1));
    let (told, failed) = (text(&output.stdout), text(&output.stderr));
    assert!(told.contains("copied docker://"), "{told}");
    assert!(
        told.contains("2 images: 1 copied, 0 unchanged, 1 failed"),
        "{told}"
    );
    assert!(failed.contains("error: 1 failed:"), "{failed}");
    assert!(failed.contains("team/bad:1: registry"), "{failed}");
    world.assert_same("acme/good:1", "one");
    let words = [&pattern, "acme/", "--output", "json"];
    let output = output_of(&mut world.command(&words), "");
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&report["failed"], &report["unchanged"]),
        (&1.into(), &1.into())
    );
}

#[test]
fn a_plan_is_a_table_that_fits() {
    let world = World::start();
    world.copy(&[&world.layout.transport("one"), "acme/web:1"]);
    let output = output_of(
        &mut world.command(&["--dry-run", "acme/*", "oci:./copies"]),
        "",
    );
    let told = text(&output.stdout);
    assert!(output.status.success());
    assert!(
        told.contains("SOURCE") && told.contains("acme/web:1"),
        "{told}"
    );
    assert!(
        told.lines().all(|line| line.chars().count() <= 80),
        "{told}"
    );
}

#[test]
fn tls_is_spoken_with_whom_the_named_authority_vouches_for_only() {
    let scratch = Scratch::new();
    let layout = Layout::make(&scratch, &[("one", "amd64", "one")]);
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("made");
    let certificate = scratch.write("tls.crt", &made.cert.pem());
    let key = scratch.write("tls.key", &made.signing_key.serialize_pem());
    let [certificate, key] = [certificate, key].map(|path| path.display().to_string());
    let options = Options::default()
        .set("LANDFALL_SERVER_TLS_CERTIFICATE", &certificate)
        .set("LANDFALL_SERVER_TLS_KEY", &key);
    let server = scratch.serve(&options);
    // Once as the server, once as any registry.
    let there = format!("docker://{}/acme/web:2", server.host());
    let creds = format!("admin:{PASSWORD}");
    for target in ["acme/web:1", &there] {
        let words = [&layout.transport("one"), target, "--dst-creds", &creds];
        let told = error(&output_of(&mut copy(&server.url, &words), ""));
        assert!(told.contains("`--ca-certificate`"), "{told}");
        let mut trusting = copy(&server.url, &words);
        trusting.args(["--ca-certificate", &certificate]);
        let done = output_of(&mut trusting, "");
        assert!(done.status.success(), "{}", text(&done.stderr));
    }
}
