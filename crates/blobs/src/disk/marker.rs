//! The file that says which database the store belongs to.
//!
//! It is written under another name, synced and renamed, so it exists whole or
//! not at all, and the rename refuses to replace another store's marker.

use std::{
    fs::{self, File},
    io::{self, Write},
};

use landfall_ids::StoreId;

use super::{layout::Layout, promote::rename_new};
use crate::{Error, durability, marker::Marker};

const READING: &str = "reading the marker of the blob store";
const WRITING: &str = "writing the marker of the blob store";

/// The identifier in the marker, or `None` if there is no marker.
pub(super) fn read(layout: &Layout) -> Result<Option<StoreId>, Error> {
    Ok(read_whole(layout)?.map(|marker| marker.store))
}

/// The marker, or `None` if there is none.
pub(super) fn read_whole(layout: &Layout) -> Result<Option<Marker>, Error> {
    let text = match fs::read_to_string(layout.marker()) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(READING, error)),
    };
    text.parse()
        .map(Some)
        .map_err(|error| Error::io(READING, io::Error::new(io::ErrorKind::InvalidData, error)))
}

/// Writes another incarnation into the marker. Nobody else has the directory.
pub(super) fn reclaim(layout: &Layout, id: StoreId, incarnation: StoreId) -> Result<(), Error> {
    match read(layout)? {
        Some(by) if by == id => {}
        Some(by) => return Err(Error::Claimed { by }),
        None => return Err(Error::io(READING, io::Error::from(io::ErrorKind::NotFound))),
    }
    let marker = Marker {
        store: id,
        incarnation: Some(incarnation),
    };
    let draft = layout.root().join(format!("store-id.{incarnation}"));
    let mut file = File::create(&draft).map_err(|error| Error::io(WRITING, error))?;
    file.write_all(marker.to_string().as_bytes())
        .and_then(|()| durability::sync_file(&file))
        .and_then(|()| fs::rename(&draft, layout.marker()))
        .map_err(|error| Error::io(WRITING, error))?;
    durability::sync_directory(layout.root())
}

/// Writes the marker if there is none yet.
pub(super) fn claim(layout: &Layout, id: StoreId) -> Result<(), Error> {
    if read(layout)?.is_none() {
        let draft = layout.root().join(format!("store-id.{id}"));
        let mut file = File::create(&draft).map_err(|error| Error::io(WRITING, error))?;
        file.write_all(format!("{id}\n").as_bytes())
            .and_then(|()| durability::sync_file(&file))
            .map_err(|error| Error::io(WRITING, error))?;
        // Whoever else claims the store at this moment is found out below.
        let renamed = rename_new(&draft, &layout.marker());
        let _gone_already = fs::remove_file(&draft);
        match renamed.map_err(io::Error::from) {
            Err(error)
                if !matches!(
                    error.kind(),
                    io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound
                ) =>
            {
                return Err(Error::io(WRITING, error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    match read(layout)? {
        // Synced in any case: the rename may be that of an earlier process.
        Some(by) if by == id => durability::sync_directory(layout.root()),
        Some(by) => Err(Error::Claimed { by }),
        None => Err(Error::io(WRITING, io::Error::from(io::ErrorKind::NotFound))),
    }
}
