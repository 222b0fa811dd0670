//! The project's own files, as a test sees them.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The root of the checkout that this test was built from.
pub fn root() -> PathBuf {
    let house = Path::new(env!("CARGO_MANIFEST_DIR"));
    house
        .ancestors()
        .nth(2)
        .expect("the house lies two folders deep")
        .to_owned()
}

/// The text of a file of the project; `path` is relative to the [`root`].
///
/// # Panics
///
/// When there is no such file, or it is no text: the test that asks can't go
/// on without it.
pub fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(root().join(path))
        .unwrap_or_else(|error| panic!("`{}` can't be read: {error}", path.display()))
}
