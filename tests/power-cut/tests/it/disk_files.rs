//! Bytes of files on a volatile disk.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt},
};

use landfall_power_cut::volatile_disk::PowerLoss;
use rustix::fs::FallocateFlags;

use crate::scratch::{Scratch, sync_directory, write_synced};

#[test]
fn an_unsynced_write_is_lost_and_a_synced_one_stays() {
    let scratch = Scratch::new();
    let path = scratch.at("file");
    write_synced(&path, b"synced");
    sync_directory(scratch.disk.path());
    fs::write(&path, b"not synced at all").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"not synced at all");

    scratch.disk.cut(PowerLoss::Total).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"synced");
}

#[test]
fn a_file_whose_name_is_durable_but_whose_bytes_are_not_is_empty() {
    let scratch = Scratch::new();
    let path = scratch.at("file");
    fs::write(&path, b"bytes").unwrap();
    sync_directory(scratch.disk.path());

    scratch.disk.cut(PowerLoss::Total).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"");
}

#[test]
fn a_file_whose_bytes_are_durable_but_whose_name_is_not_is_gone() {
    let scratch = Scratch::new();
    let path = scratch.at("file");
    write_synced(&path, b"bytes");

    scratch.disk.cut(PowerLoss::Total).unwrap();
    assert!(!path.exists());
}

#[test]
fn unsynced_writes_survive_whole_torn_and_not_at_all_under_different_seeds() {
    let scratch = Scratch::new();
    let mut file = File::create(scratch.at("file")).unwrap();
    sync_directory(scratch.disk.path());
    for block in 1..=8_u8 {
        file.write_all(&[block; 4096]).unwrap();
    }
    let mut outcomes = BTreeSet::new();
    for seed in 0..60 {
        let left = fs::read(scratch.after(seed).join("file")).unwrap();
        for (index, block) in left.chunks(4096).enumerate() {
            let written = vec![index as u8 + 1; block.len()];
            assert!(
                block == written || block.iter().all(|byte| *byte == 0),
                "seed {seed}"
            );
        }
        outcomes.insert(left);
    }
    let all: Vec<u8> = (1..=8_u8).flat_map(|block| [block; 4096]).collect();
    assert!(outcomes.contains(&Vec::new()));
    assert!(outcomes.contains(&all));
    assert!(outcomes.len() > 10, "only {} outcomes", outcomes.len());
    assert!(outcomes.iter().any(|left| left.starts_with(&[0; 4096])));
}

#[test]
fn a_snapshot_leaves_the_disk_as_it_was() {
    let scratch = Scratch::new();
    let path = scratch.at("file");
    let mut file = File::create(&path).unwrap();
    file.write_all(b"first").unwrap();
    let snapshot = scratch.after(PowerLoss::Total);
    assert!(!snapshot.join("file").exists());
    file.write_all(b", second").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"first, second");
}

#[test]
fn everything_that_was_open_answers_an_error_after_the_cut() {
    let scratch = Scratch::new();
    let path = scratch.at("file");
    write_synced(&path, &[7; 10_000]);
    sync_directory(scratch.disk.path());
    let mut reader = File::open(&path).unwrap();
    let mut writer = OpenOptions::new().append(true).open(&path).unwrap();
    let directory = File::open(scratch.disk.path()).unwrap();
    // The kernel has the bytes in its page cache now.
    assert_eq!(reader.read(&mut [0; 100]).unwrap(), 100);

    scratch.disk.cut(PowerLoss::Total).unwrap();
    let error = reader
        .seek(SeekFrom::Start(0))
        .and_then(|_| reader.read(&mut [0; 100]));
    assert_eq!(error.unwrap_err().raw_os_error(), Some(5));
    assert_eq!(writer.write(b"more").unwrap_err().raw_os_error(), Some(5));
    assert_eq!(writer.sync_data().unwrap_err().raw_os_error(), Some(5));
    assert_eq!(directory.sync_all().unwrap_err().raw_os_error(), Some(5));
    assert_eq!(fs::read(&path).unwrap(), [7; 10_000]);
}

#[test]
fn the_disk_can_be_cut_again_and_again() {
    let scratch = Scratch::new();
    for round in 0..20_u8 {
        let path = scratch.at(&format!("kept-{round}"));
        write_synced(&path, &[round; 5000]);
        sync_directory(scratch.disk.path());
        fs::write(scratch.at("lost"), [round; 5000]).unwrap();
        scratch.disk.cut(PowerLoss::Total).unwrap();
        assert!(!scratch.at("lost").exists());
        assert_eq!(
            fs::read_dir(scratch.disk.path()).unwrap().count(),
            usize::from(round) + 1
        );
        assert_eq!(fs::read(path).unwrap(), [round; 5000]);
    }
}

#[test]
fn truncation_appending_and_writing_at_an_offset_behave_as_on_any_disk() {
    let scratch = Scratch::new();
    let path = scratch.at("file");
    fs::write(&path, b"0123456789").unwrap();
    let mut file = OpenOptions::new()
        .append(true)
        .read(true)
        .open(&path)
        .unwrap();
    file.write_all(b"abc").unwrap();
    file.set_len(12).unwrap();
    file.write_all(b"X").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"0123456789abX");

    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(b"end", 20).unwrap();
    file.write_all_at(b"__", 0).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"__23456789abX\0\0\0\0\0\0\0end");
    assert_eq!(fs::metadata(&path).unwrap().len(), 23);

    drop(File::create(&path).unwrap());
    assert_eq!(fs::read(&path).unwrap(), b"");
}

#[test]
fn an_unsynced_truncation_is_lost() {
    let scratch = Scratch::new();
    let path = scratch.at("file");
    write_synced(&path, b"all of it");
    sync_directory(scratch.disk.path());
    OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(3)
        .unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"all");
    scratch.disk.cut(PowerLoss::Total).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"all of it");
}

#[test]
fn space_can_be_allocated_and_holes_punched() {
    let scratch = Scratch::new();
    let path = scratch.at("file");
    fs::write(&path, [7; 8]).unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    rustix::fs::fallocate(&file, FallocateFlags::KEEP_SIZE, 0, 100).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 8);
    rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, 12).unwrap();
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    rustix::fs::fallocate(&file, punch, 2, 3).unwrap();
    assert_eq!(
        fs::read(&path).unwrap(),
        [7, 7, 0, 0, 0, 7, 7, 7, 0, 0, 0, 0]
    );
}

#[test]
fn modes_and_times_can_be_set_and_modes_are_durable_after_a_sync() {
    let scratch = Scratch::new();
    let path = scratch.at("key");
    write_synced(&path, b"secret");
    sync_directory(scratch.disk.path());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let file = File::open(&path).unwrap();
    let then = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    file.set_modified(then).unwrap();
    assert_eq!(file.metadata().unwrap().modified().unwrap(), then);
    assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);

    let unsynced = fs::metadata(scratch.after(PowerLoss::Total).join("key")).unwrap();
    assert_ne!(unsynced.mode() & 0o777, 0o600);
    file.sync_all().unwrap();
    let synced = fs::metadata(scratch.after(PowerLoss::Total).join("key")).unwrap();
    assert_eq!(synced.mode() & 0o777, 0o600);
}

#[test]
fn sixty_four_megabytes_go_in_and_survive_when_synced() {
    let scratch = Scratch::new();
    let path = scratch.at("blob");
    let chunk: Vec<u8> = (0..1 << 16).map(|byte: u32| (byte % 251) as u8).collect();
    let mut file = File::create(&path).unwrap();
    for _ in 0..1024 {
        file.write_all(&chunk).unwrap();
    }
    file.sync_all().unwrap();
    drop(file);
    sync_directory(scratch.disk.path());
    scratch.disk.cut(PowerLoss::Total).unwrap();
    let left = fs::read(&path).unwrap();
    assert_eq!(left.len(), 1 << 26);
    assert!(left.chunks(1 << 16).all(|left| left == chunk));
}

#[test]
fn a_file_beyond_the_memory_of_a_test_is_refused() {
    let scratch = Scratch::new();
    let file = File::create(scratch.at("file")).unwrap();
    let error = file.set_len(1 << 40).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(27));
}
