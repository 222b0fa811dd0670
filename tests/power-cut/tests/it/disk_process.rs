//! The process of a volatile disk: how it starts and how it ends.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
    process::{Command, Stdio},
};

use landfall_power_cut::volatile_disk::{DiskError, PowerLoss, VolatileDisk};

use crate::scratch::{Scratch, write_synced};

fn is_mounted(path: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    mounts.contains(&format!(" {} ", path.display()))
}

#[test]
fn the_mount_is_gone_when_the_disk_is_dropped_even_with_a_file_open() {
    let scratch = Scratch::new();
    let path = scratch.disk.path().to_owned();
    write_synced(&scratch.at("file"), b"bytes");
    let file = File::open(scratch.at("file")).unwrap();
    assert!(is_mounted(&path));
    drop(scratch);
    assert!(!is_mounted(&path));
    assert!(file.sync_all().is_err());
}

#[test]
fn a_mount_point_that_is_not_there_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let error = VolatileDisk::mount(directory.path().join("nowhere")).unwrap_err();
    assert!(matches!(&error, DiskError::Mount { reason, .. } if reason.contains("No such file")));
}

#[test]
fn a_snapshot_that_cannot_be_written_says_why() {
    let scratch = Scratch::new();
    let error = scratch
        .disk
        .snapshot_durable(PowerLoss::Total, "/proc/nowhere")
        .unwrap_err();
    assert!(
        matches!(&error, DiskError::Snapshot { reason, .. } if reason.contains("No such file"))
    );
}

#[test]
fn many_disks_live_side_by_side() {
    let disks: Vec<Scratch> = (0..5).map(|_| Scratch::new()).collect();
    for (number, scratch) in disks.iter().enumerate() {
        fs::write(scratch.at("number"), number.to_string()).unwrap();
    }
    disks[2].disk.cut(PowerLoss::Total).unwrap();
    for (number, scratch) in disks.iter().enumerate() {
        let found = fs::read_to_string(scratch.at("number")).ok();
        assert_eq!(found, (number != 2).then(|| number.to_string()));
    }
}

#[test]
#[ignore = "the victim of the test below, which starts it"]
fn victim() {
    let directory = tempfile::tempdir().unwrap();
    let disk = VolatileDisk::mount(directory.path()).unwrap();
    let _open = File::create(disk.path().join("open")).unwrap();
    writeln!(io::stdout(), "mounted {}", disk.path().display()).unwrap();
    // Until the other test kills this process, or at the end of the input.
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn the_mount_is_gone_when_the_test_is_killed() {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "disk_process::victim",
            "--ignored",
            "--nocapture",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(victim.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("mounted ") {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0);
    }
    let path = Path::new(line.trim().rsplit(' ').next().unwrap());
    assert!(is_mounted(path));
    let mut stderr = victim.stderr.take().unwrap();
    victim.kill().unwrap();
    victim.wait().unwrap();
    // The process of the disk holds the other end until it ends.
    stderr.read_to_end(&mut Vec::new()).unwrap();
    assert!(!is_mounted(path));
    fs::remove_dir(path).unwrap();
}
