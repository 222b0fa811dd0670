//! A tar archive as a table of where its files lie. Nothing is extracted, so
//! no name in it leads anywhere.

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use tar::{EntryType, Header, PaxExtensions};

use super::{
    files,
    unpack::{self, Compression},
};
use crate::{Error, Limits, content::ByteStream, error::shorten};

/// Entries begin at multiples of this.
const BLOCK: u64 = 512;

/// The most bytes of an entry that only describes the next one.
const DESCRIPTION: u64 = 1 << 20;

/// The most links from one file to the next.
const LINKS: usize = 8;

/// An archive that is open, and stays as it is.
pub(super) struct TarIndex {
    path: PathBuf,
    file: Arc<File>,
    entries: HashMap<String, Entry>,
}

enum Entry {
    File { offset: u64, size: u64 },
    Link(String),
}

/// What earlier entries say of the next one.
#[derive(Default)]
struct Described {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

impl TarIndex {
    /// Reads through an archive. One compressed by gzip is unpacked to a
    /// temporary file first.
    pub(super) fn open(path: &Path, limits: &Limits) -> Result<Self, Error> {
        let unreadable = || Error::file(path, "can't be read");
        let mut file = files::open(path)?;
        let mut head = [0; 4];
        let length = file.metadata().map_err(unreadable())?.len();
        let seen = file.read_at(&mut head, 0).map_err(unreadable())?;
        if Compression::of(&head[..seen]) == Compression::Gzip {
            let mut unpacked = tempfile::tempfile().map_err(unreadable())?;
            let failed = || unpack::failed(path);
            let mut reader =
                unpack::unpack(Compression::Gzip, file, length, limits).map_err(failed())?;
            io::copy(&mut reader, &mut unpacked).map_err(failed())?;
            drop(reader);
            file = unpacked;
        }
        let length = file.metadata().map_err(unreadable())?.len();
        let mut index = Self {
            path: path.to_owned(),
            file: Arc::new(file),
            entries: HashMap::new(),
        };
        index.read_through(length, limits)?;
        Ok(index)
    }

    fn damaged(&self, why: &str) -> Error {
        Error::Damaged(format!(
            "`{}` is no whole archive: {why}",
            self.path.display()
        ))
    }

    fn read_through(&mut self, length: u64, limits: &Limits) -> Result<(), Error> {
        let (mut at, mut count) = (0_u64, 0_usize);
        let mut told = Described::default();
        while length.saturating_sub(at) >= BLOCK {
            let mut header = Header::new_old();
            let read = self.file.read_exact_at(header.as_mut_bytes(), at);
            read.map_err(Error::file(&self.path, "can't be read"))?;
            if header.as_bytes().iter().all(|byte| *byte == 0) {
                return Ok(());
            }
            self.check_sum(&header)?;
            count += 1;
            if count > limits.entries {
                return Err(Error::Refused(format!(
                    "`{}` has more than {} entries",
                    self.path.display(),
                    limits.entries
                )));
            }
            let kind = header.entry_type();
            let own = header.entry_size();
            let own = own.map_err(|_| self.damaged("an entry has no size"))?;
            let describes =
                kind.is_gnu_longname() || kind.is_gnu_longlink() || kind.is_pax_local_extensions();
            let size = if describes {
                own
            } else {
                told.size.unwrap_or(own)
            };
            let offset = at + BLOCK;
            let end = offset.checked_add(size).filter(|end| *end <= length);
            let end = end.ok_or_else(|| self.damaged("it ends inside of an entry"))?;
            if describes {
                self.describe(kind, offset, size, &mut told)?;
            } else if !kind.is_pax_global_extensions() {
                let told = std::mem::take(&mut told);
                self.add(&header, kind, offset, size, told)?;
            }
            at = end.next_multiple_of(BLOCK);
        }
        if count == 0 {
            return Err(self.damaged("it is too short"));
        }
        Ok(())
    }

    fn check_sum(&self, header: &Header) -> Result<(), Error> {
        let bytes = header.as_bytes();
        let sum = bytes.iter().enumerate().map(|(at, byte)| {
            // The sum counts itself as spaces.
            u32::from(if (148..156).contains(&at) {
                b' '
            } else {
                *byte
            })
        });
        let sum: u32 = sum.sum();
        if header.cksum().is_ok_and(|told| told == sum) {
            Ok(())
        } else {
            Err(self.damaged("an entry has a wrong checksum"))
        }
    }

    fn describe(
        &self,
        kind: EntryType,
        offset: u64,
        size: u64,
        described: &mut Described,
    ) -> Result<(), Error> {
        let bytes = files::read_part(&self.path, &self.file, offset, size, DESCRIPTION)?;
        let text = || {
            bytes
                .split(|byte| *byte == 0)
                .next()
                .unwrap_or_default()
                .to_vec()
        };
        if kind.is_gnu_longname() {
            described.name = Some(text());
        } else if kind.is_gnu_longlink() {
            described.link = Some(text());
        } else {
            for extension in PaxExtensions::new(&bytes) {
                let extension =
                    extension.map_err(|_| self.damaged("an extended header can't be read"))?;
                let value = extension.value_bytes();
                match extension.key_bytes() {
                    b"path" => described.name = Some(value.to_vec()),
                    b"linkpath" => described.link = Some(value.to_vec()),
                    b"size" => {
                        let size = str::from_utf8(value)
                            .ok()
                            .and_then(|text| text.parse().ok());
                        let size = size.ok_or_else(|| self.damaged("an entry has no size"))?;
                        described.size = Some(size);
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        header: &Header,
        kind: EntryType,
        offset: u64,
        size: u64,
        told: Described,
    ) -> Result<(), Error> {
        let name = told
            .name
            .unwrap_or_else(|| header.path_bytes().into_owned());
        // Names that are no text, or lead out, are none that anybody asks for.
        let Some(name) = str::from_utf8(&name)
            .ok()
            .and_then(|name| resolve("", name))
        else {
            return Ok(());
        };
        let entry = if kind.is_file() || kind.is_contiguous() {
            Entry::File { offset, size }
        } else if kind.is_symlink() || kind.is_hard_link() {
            let link = told
                .link
                .or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
            let from = if kind.is_symlink() { name.as_str() } else { "" };
            let target = link.and_then(|link| resolve(from, str::from_utf8(&link).ok()?));
            // One that leads out of the archive leads nowhere.
            Entry::Link(target.unwrap_or_default())
        } else {
            return Ok(());
        };
        if self.entries.insert(name.clone(), entry).is_some() {
            return Err(Error::Refused(format!(
                "`{}` has the file `{}` more than once",
                self.path.display(),
                shorten(&name)
            )));
        }
        Ok(())
    }

    /// Whether there is a file of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_ok()
    }

    /// Where a file lies, and its size.
    pub(super) fn find(&self, name: &str) -> Result<(u64, u64), Error> {
        let mut wanted = resolve("", name).unwrap_or_default();
        for _ in 0..LINKS {
            match self.entries.get(&wanted) {
                Some(Entry::File { offset, size }) => return Ok((*offset, *size)),
                Some(Entry::Link(target)) => wanted.clone_from(target),
                None => break,
            }
        }
        Err(Error::Missing(format!(
            "`{}` has no file `{}`",
            self.path.display(),
            shorten(name)
        )))
    }

    /// A file, whole, where it is not longer than `most`.
    pub(super) fn read(&self, name: &str, most: u64) -> Result<Bytes, Error> {
        let (offset, size) = self.find(name)?;
        let shown = self.path.join(name);
        files::read_part(&shown, &self.file, offset, size, most)
    }

    /// The bytes of a file from an offset on.
    pub(super) fn stream(&self, name: &str, from: u64) -> Result<ByteStream, Error> {
        let (offset, size) = self.find(name)?;
        let from = from.min(size);
        let file = Arc::clone(&self.file);
        Ok(files::stream(
            self.path.clone(),
            file,
            offset + from,
            size - from,
        ))
    }

    /// A file to be read by the thread that asks.
    pub(super) fn reader(&self, name: &str) -> Result<Part, Error> {
        let (offset, size) = self.find(name)?;
        Ok(Part {
            file: Arc::clone(&self.file),
            at: offset,
            end: offset + size,
        })
    }
}

/// A part of a file.
pub(super) struct Part {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl io::Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min((self.end - self.at) as usize);
        let read = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// A path in the archive, seen from the folder of `from`; nothing if it leads
/// out.
fn resolve(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = match from.rsplit_once('/') {
        Some((folder, _)) if !path.starts_with('/') => folder.split('/').collect(),
        _ => Vec::new(),
    };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            plain => parts.push(plain),
        }
    }
    Some(parts.join("/"))
}
