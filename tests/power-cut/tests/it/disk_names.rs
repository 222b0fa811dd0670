//! Names in directories of a volatile disk.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Read,
    path::Path,
};

use landfall_power_cut::volatile_disk::PowerLoss;
use rustix::fs::RenameFlags;

use crate::scratch::{Scratch, sync_directory, write_synced};

/// A disk with durable `staging/file` and `blobs/`.
fn staged() -> Scratch {
    let scratch = Scratch::new();
    fs::create_dir(scratch.at("staging")).unwrap();
    fs::create_dir(scratch.at("blobs")).unwrap();
    write_synced(&scratch.at("staging/file"), b"bytes");
    sync_directory(&scratch.at("staging"));
    sync_directory(scratch.disk.path());
    scratch
}

fn names(path: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(path).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn a_rename_without_a_sync_of_the_directory_may_vanish_or_stay_but_is_never_half_done() {
    let scratch = staged();
    fs::rename(scratch.at("staging/file"), scratch.at("blobs/file")).unwrap();
    assert!(
        scratch
            .after(PowerLoss::Total)
            .join("staging/file")
            .exists()
    );
    let mut seen = BTreeSet::new();
    for seed in 0..60 {
        let left = scratch.after(seed);
        let places = (
            left.join("staging/file").exists(),
            left.join("blobs/file").exists(),
        );
        assert_ne!(places.0, places.1, "seed {seed}");
        seen.insert(places);
    }
    assert_eq!(seen.len(), 2, "both outcomes have to happen");
}

#[test]
fn a_rename_with_a_sync_of_the_target_directory_stays_under_every_seed() {
    let scratch = staged();
    fs::rename(scratch.at("staging/file"), scratch.at("blobs/file")).unwrap();
    sync_directory(&scratch.at("blobs"));
    for seed in 0..60 {
        let left = scratch.after(seed);
        assert!(!left.join("staging/file").exists(), "seed {seed}");
        assert_eq!(
            fs::read(left.join("blobs/file")).unwrap(),
            b"bytes",
            "seed {seed}"
        );
    }
    scratch.disk.cut(PowerLoss::Total).unwrap();
    assert_eq!(fs::read(scratch.at("blobs/file")).unwrap(), b"bytes");
}

#[test]
fn a_sync_of_the_directory_that_the_file_left_does_not_make_a_rename_durable() {
    let scratch = staged();
    fs::rename(scratch.at("staging/file"), scratch.at("blobs/file")).unwrap();
    sync_directory(&scratch.at("staging"));
    scratch.disk.cut(PowerLoss::Total).unwrap();
    assert!(scratch.at("staging/file").exists());
    assert!(!scratch.at("blobs/file").exists());
}

#[test]
fn a_sync_of_a_file_does_not_make_its_new_name_durable() {
    let scratch = staged();
    fs::rename(scratch.at("staging/file"), scratch.at("blobs/file")).unwrap();
    File::open(scratch.at("blobs/file"))
        .unwrap()
        .sync_all()
        .unwrap();
    scratch.disk.cut(PowerLoss::Total).unwrap();
    assert!(!scratch.at("blobs/file").exists());
}

#[test]
fn files_in_a_directory_whose_own_name_is_not_durable_are_lost() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.at("new")).unwrap();
    write_synced(&scratch.at("new/file"), b"bytes");
    sync_directory(&scratch.at("new"));
    assert_eq!(names(&scratch.after(PowerLoss::Total)), BTreeSet::new());
    sync_directory(scratch.disk.path());
    assert!(scratch.after(PowerLoss::Total).join("new/file").exists());
}

#[test]
fn an_unlink_without_a_sync_of_the_directory_may_be_undone() {
    let scratch = staged();
    fs::remove_file(scratch.at("staging/file")).unwrap();
    assert_eq!(
        fs::read(scratch.after(PowerLoss::Total).join("staging/file")).unwrap(),
        b"bytes"
    );
    sync_directory(&scratch.at("staging"));
    assert_eq!(
        names(&scratch.after(PowerLoss::Total).join("staging")),
        BTreeSet::new()
    );
}

#[test]
fn a_rename_over_a_file_leaves_the_old_or_the_new_one() {
    let scratch = staged();
    write_synced(&scratch.at("staging/new"), b"newer");
    sync_directory(&scratch.at("staging"));
    fs::rename(scratch.at("staging/new"), scratch.at("staging/file")).unwrap();
    assert_eq!(fs::read(scratch.at("staging/file")).unwrap(), b"newer");
    let mut seen = BTreeSet::new();
    for seed in 0..60 {
        seen.insert(fs::read(scratch.after(seed).join("staging/file")).unwrap());
    }
    assert_eq!(seen, BTreeSet::from([b"bytes".to_vec(), b"newer".to_vec()]));
}

#[test]
fn rename_without_replacing_refuses_a_target_that_exists() {
    let scratch = staged();
    write_synced(&scratch.at("blobs/file"), b"there already");
    let rename = |to: &str| {
        let (from, to) = (scratch.at("staging/file"), scratch.at(to));
        let here = rustix::fs::CWD;
        rustix::fs::renameat_with(here, from, here, to, RenameFlags::NOREPLACE)
    };
    assert_eq!(rename("blobs/file").unwrap_err(), rustix::io::Errno::EXIST);
    rename("blobs/other").unwrap();
    assert_eq!(fs::read(scratch.at("blobs/other")).unwrap(), b"bytes");
}

#[test]
fn directories_are_refused_and_removed_as_on_any_disk() {
    let scratch = staged();
    let not_empty = fs::remove_dir(scratch.at("staging")).unwrap_err();
    assert_eq!(not_empty.raw_os_error(), Some(39));
    assert!(fs::create_dir(scratch.at("staging")).is_err());
    assert!(fs::remove_file(scratch.at("blobs")).is_err());
    fs::remove_dir(scratch.at("blobs")).unwrap();
    assert_eq!(
        names(scratch.disk.path()),
        BTreeSet::from(["staging".to_owned()])
    );
}

#[test]
fn a_listing_may_be_read_while_its_files_are_removed() {
    let scratch = staged();
    for number in 0..1000 {
        File::create(scratch.at(&format!("blobs/{number}"))).unwrap();
    }
    let mut removed = 0;
    for entry in fs::read_dir(scratch.at("blobs")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
        removed += 1;
    }
    assert_eq!(removed, 1000);
    assert_eq!(names(&scratch.at("blobs")), BTreeSet::new());
}

#[test]
fn a_removed_file_can_be_read_while_it_is_open() {
    let scratch = staged();
    let mut file = File::open(scratch.at("staging/file")).unwrap();
    // Enough of removals and syncs for the disk to drop what it may.
    for number in 0..200 {
        let path = scratch.at(&format!("blobs/{number}"));
        File::create(&path).unwrap();
        fs::remove_file(&path).unwrap();
    }
    fs::remove_file(scratch.at("staging/file")).unwrap();
    sync_directory(&scratch.at("staging"));
    for _ in 0..200 {
        sync_directory(&scratch.at("blobs"));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"bytes");
    // The bytes may have come from the kernel's cache; the sync asks the disk.
    file.sync_all().unwrap();
}
