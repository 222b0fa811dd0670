//! Layouts, archives and directories: skopeo and podman read what we write,
//! and we read what they write.

use serde_json::Value;

use super::{World, run, tool};
use crate::clients::layout::Layout;

/// The forms that keep the manifest, so that digests stay.
const EXACT: [&str; 3] = ["oci", "oci-archive", "dir"];

#[test]
fn skopeo_reads_what_is_written_and_the_digest_stays() {
    let world = World::start();
    world.copy(&[&world.layout.transport("one"), "acme/web:one"]);
    for form in EXACT {
        let place = world.place(form, &format!("our-{form}"));
        world.copy(&["acme/web:one", &place]);
        let back = Layout::open(&world.path(&format!("back-{form}")));
        world.skopeo(&["copy", &place, &back.transport("one")]);
        assert_eq!(back.digest("one"), world.layout.digest("one"), "{form}");
        assert_eq!(back.content("one"), world.layout.content("one"), "{form}");
    }
}

#[test]
fn what_skopeo_writes_is_read_and_the_digest_stays() {
    let world = World::start();
    for form in EXACT {
        let place = world.place(form, &format!("their-{form}"));
        let theirs = if form == "dir" {
            place.clone()
        } else {
            format!("{place}:one")
        };
        world.skopeo(&["copy", &world.layout.transport("one"), &theirs]);
        let image = format!("acme/{form}:one");
        world.copy(&[&place, &image]);
        world.assert_same(&image, "one");
    }
}

#[test]
fn an_index_stays_whole_in_every_form_that_can_hold_it() {
    let world = World::start();
    world
        .layout
        .add_index("all", &[("one", "amd64"), ("two", "arm64")]);
    for form in EXACT {
        let place = world.place(form, &format!("all-{form}"));
        world.copy(&[&world.layout.transport("all"), &place]);
        let back = Layout::open(&world.path(&format!("back-{form}")));
        world.skopeo(&["copy", "--all", &place, &back.transport("all")]);
        assert_eq!(back.digest("all"), world.layout.digest("all"), "{form}");
        assert_eq!(back.content("all"), world.layout.content("all"), "{form}");
        let image = format!("acme/{form}:all");
        world.copy(&[&place, &image]);
        world.assert_same(&image, "all");
    }
    let theirs = world.place("dir", "theirs");
    world.skopeo(&["copy", "--all", &world.layout.transport("all"), &theirs]);
    world.copy(&[&theirs, "acme/theirs:all"]);
    world.assert_same("acme/theirs:all", "all");
}

#[test]
fn docker_archives_go_both_ways_and_podman_loads_them() {
    let world = World::start();
    world.copy(&[&world.layout.transport("one"), "acme/web:one"]);
    let ours = world.place("docker-archive", "ours.tar");
    world.copy(&["acme/web:one", &format!("{ours}:example.org/web:7")]);
    world.skopeo(&["copy", &ours, &world.place("dir", "back")]);
    let read = std::fs::read(world.path("back/manifest.json")).expect("a manifest");
    let read: Value = serde_json::from_slice(&read).expect("JSON");
    assert_eq!(
        read["config"]["digest"],
        world.layout.config("one").as_str()
    );
    let podman = |words: &[&str]| {
        let mut command = tool("podman", "podman");
        command.arg("--root").arg(world.path("storage"));
        command.arg("--runroot").arg(world.path("run"));
        command.arg("--tmpdir").arg(world.path("tmp"));
        run(command.args(["--storage-driver", "vfs"]).args(words))
    };
    podman(&[
        "load",
        "--input",
        &world.path("ours.tar").display().to_string(),
    ]);
    let id = podman(&[
        "image",
        "inspect",
        "--format",
        "{{.Id}}",
        "example.org/web:7",
    ]);
    assert_eq!(format!("sha256:{}", id.trim()), world.layout.config("one"));
    // What podman saves is read, plain and compressed, as the same image.
    let saved = world.path("saved.tar");
    let name = saved.display().to_string();
    podman(&[
        "save",
        "--format",
        "docker-archive",
        "--output",
        &name,
        "example.org/web:7",
    ]);
    let theirs = world.place("docker-archive", "saved.tar");
    world.copy(&[&theirs, "acme/saved:plain"]);
    run(tool("gzip", "gzip").arg("--keep").arg(&saved));
    world.copy(&[&format!("{theirs}.gz"), "acme/saved:packed"]);
    let plain = world.raw("acme/saved:plain");
    assert_eq!(plain, world.raw("acme/saved:packed"));
    let manifest: Value = serde_json::from_str(&plain).expect("JSON");
    assert_eq!(
        manifest["config"]["digest"],
        world.layout.config("one").as_str()
    );
    // From our own archive the same image comes.
    world.copy(&[&ours, "acme/ours:one"]);
    assert_eq!(plain, world.raw("acme/ours:one"));
}
