//! What a power loss has left: a plain tree of files and directories.

use std::os::unix::fs::PermissionsExt;
use std::{collections::BTreeMap, ffi::OsString, fs, io, path::Path, sync::Arc};

use super::node::Attributes;

/// A file or a directory that a restart finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Survivor {
    pub(crate) attributes: Attributes,
    pub(crate) body: SurvivorBody,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SurvivorBody {
    File(Arc<Vec<u8>>),
    Directory(BTreeMap<OsString, Survivor>),
}

impl Survivor {
    pub(crate) fn file(attributes: Attributes, bytes: Arc<Vec<u8>>) -> Self {
        Self {
            attributes,
            body: SurvivorBody::File(bytes),
        }
    }

    pub(crate) fn directory(attributes: Attributes, children: BTreeMap<OsString, Self>) -> Self {
        Self {
            attributes,
            body: SurvivorBody::Directory(children),
        }
    }

    /// Writes the tree to a directory of another file system. The directory is
    /// made if it is not there; times and owners are not kept, modes are.
    pub(crate) fn write_to(&self, path: &Path) -> io::Result<()> {
        match &self.body {
            SurvivorBody::File(bytes) => fs::write(path, bytes.as_slice())?,
            SurvivorBody::Directory(children) => {
                fs::create_dir_all(path)?;
                for (name, child) in children {
                    child.write_to(&path.join(name))?;
                }
            }
        }
        let mode = u32::from(self.attributes.mode);
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    }
}
