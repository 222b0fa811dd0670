//! The file of the master key.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    sync::Barrier,
};

use landfall_seal::{Error, MasterKey};

#[test]
fn a_key_that_was_made_is_the_key_that_is_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("keys/master");
    assert!(MasterKey::load(&path).expect("no file").is_none());
    let made = MasterKey::load_or_create(&path).expect("made");
    let read = MasterKey::load_or_create(&path).expect("read");
    assert_eq!(made.fingerprint(), read.fingerprint());
    let sealed = made.seal("purpose", b"secret");
    assert_eq!(&**read.open("purpose", &sealed).expect("opens"), b"secret");
}

#[test]
fn only_the_owner_reads_the_file_and_nothing_lies_beside_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("keys/master");
    MasterKey::create(&path).expect("made");
    assert_eq!(fs::metadata(&path).expect("file").mode() & 0o777, 0o600);
    let keys = path.parent().expect("a parent");
    assert_eq!(fs::metadata(keys).expect("directory").mode() & 0o777, 0o700);
    assert_eq!(fs::read_dir(keys).expect("directory").count(), 1);
}

#[test]
fn a_file_that_others_may_read_is_refused_with_the_way_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("master");
    MasterKey::create(&path).expect("made");
    for mode in [0o640, 0o604, 0o620, 0o610] {
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("mode");
        let error = MasterKey::load(&path).expect_err("open to others");
        let path = path.display();
        assert_eq!(
            error.to_string(),
            format!(
                "the master key `{path}` is open to others: `chmod 600 {path}` makes it private"
            )
        );
    }
}

#[test]
fn a_file_is_never_overwritten() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("master");
    let first = MasterKey::create(&path).expect("made");
    let second = MasterKey::create(&path).expect("read");
    assert_eq!(first.fingerprint(), second.fingerprint());
    fs::write(&path, "rubbish").expect("rubbish");
    assert!(matches!(
        MasterKey::create(&path),
        Err(Error::Malformed { .. })
    ));
    assert_eq!(fs::read(&path).expect("file"), b"rubbish");
}

#[test]
fn of_many_that_make_a_key_at_once_all_get_the_same() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("master");
    let barrier = Barrier::new(2);
    let fingerprints: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    MasterKey::create(&path).expect("a key").fingerprint()
                })
            })
            .collect();
        let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined.map(|joined| joined.expect("no panic")).collect()
    });
    assert_eq!(fingerprints[0], fingerprints[1]);
}
