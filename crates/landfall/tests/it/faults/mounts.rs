//! Small disks of their own: full, or read-only, without harm to others.

use std::{
    ffi::CString,
    fs::File,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::Command,
};

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};

/// A file system in memory. Dropping it unmounts it.
#[derive(Debug)]
pub(crate) struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts an empty disk of `size` bytes at the new directory `path`.
    pub(crate) fn mount(path: &Path, size: u64) -> Self {
        std::fs::create_dir(path).expect("a mount point");
        let options = CString::new(format!("size={size}")).expect("options");
        let mounted = mount(
            "tmpfs",
            path,
            "tmpfs",
            MountFlags::empty(),
            options.as_c_str(),
        );
        mounted.expect("a tmpfs (does the test run as root?)");
        Self {
            path: path.to_owned(),
        }
    }

    /// Takes all space that is left, until the answer is dropped.
    pub(crate) fn fill(&self) -> Ballast {
        let path = self.path.join("ballast");
        let mut file = File::create(&path).expect("a file");
        for size in [1 << 20, 4096] {
            let zeros = vec![0; size];
            let full = loop {
                if let Err(error) = file.write_all(&zeros) {
                    break error.kind();
                }
            };
            assert_eq!(full, ErrorKind::StorageFull);
        }
        Ballast { path }
    }

    /// The disk takes no writes from now on, or takes them again. No file on
    /// it may be open for writing.
    pub(crate) fn set_read_only(&self, read_only: bool) {
        let flags = if read_only {
            MountFlags::RDONLY
        } else {
            MountFlags::empty()
        };
        mount_remount(&self.path, flags, "").expect("a remount");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _already_gone = unmount(&self.path, UnmountFlags::DETACH);
    }
}

/// A file that takes the rest of a disk.
#[derive(Debug)]
pub(crate) struct Ballast {
    path: PathBuf,
}

impl Drop for Ballast {
    fn drop(&mut self) {
        let _already_gone = std::fs::remove_file(&self.path);
    }
}

/// An ext4 file system in a file, which can come to grief.
#[derive(Debug)]
pub(crate) struct FailingDisk {
    image: PathBuf,
    path: PathBuf,
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("`{program}`: {error}"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{program} {arguments:?}`: {told}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

impl FailingDisk {
    /// Makes and mounts a disk at the new directory `path`.
    pub(crate) fn mount(path: &Path) -> Self {
        std::fs::create_dir(path).expect("a mount point");
        let image = path.with_extension("ext4");
        let file = File::create(&image).expect("a file");
        file.set_len(48 << 20).expect("a sparse file");
        run("mkfs.ext4", &["-q", &image.to_string_lossy()]);
        let disk = Self {
            image,
            path: path.to_owned(),
        };
        disk.mount_again();
        disk
    }

    /// Mounts it, as after the repair.
    pub(crate) fn mount_again(&self) {
        let (image, path) = (self.image.to_string_lossy(), self.path.to_string_lossy());
        run("mount", &["-o", "loop,errors=remount-ro", &image, &path]);
    }

    pub(crate) fn unmount(&self) {
        unmount(&self.path, UnmountFlags::empty()).expect("nobody uses the disk");
    }

    /// The kernel finds the disk broken, and from now on writes nothing to it.
    pub(crate) fn come_to_grief(&self) {
        let device = run(
            "losetup",
            &["-n", "-O", "NAME", "-j", &self.image.to_string_lossy()],
        );
        let name = Path::new(device.trim()).file_name().expect("a device");
        let trigger = Path::new("/sys/fs/ext4")
            .join(name)
            .join("trigger_fs_error");
        std::fs::write(trigger, "1").expect("ext4 takes an error");
    }
}

impl Drop for FailingDisk {
    fn drop(&mut self) {
        let _already_gone = unmount(&self.path, UnmountFlags::DETACH);
    }
}
