//! Archives that depend on their content only: no times, no owners.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    path::Path,
};

use tar::{EntryType, Header};

/// An archive that is being written.
pub(super) struct TarWriter {
    file: BufWriter<File>,
    at: u64,
}

/// Entries begin at multiples of this.
const BLOCK: u64 = 512;

impl TarWriter {
    /// A new file; one of an interrupted attempt is replaced.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: BufWriter::with_capacity(256 << 10, File::create(path)?),
            at: 0,
        })
    }

    /// Adds a folder.
    pub(super) fn folder(&mut self, name: &str) -> io::Result<()> {
        let header = header(name, 0, EntryType::Directory)?;
        self.file.write_all(header.as_bytes())?;
        self.at += BLOCK;
        Ok(())
    }

    /// Adds a small file.
    pub(super) fn bytes(&mut self, name: &str, mut bytes: &[u8]) -> io::Result<()> {
        self.stream(name, &mut bytes).map(|_| ())
    }

    /// Adds whatever comes, and gives its length. The header is written again
    /// once that is known.
    pub(super) fn stream(&mut self, name: &str, from: &mut dyn Read) -> io::Result<u64> {
        let start = self.at;
        self.file.write_all(&[0; BLOCK as usize])?;
        let size = io::copy(from, &mut self.file)?;
        let end = start + BLOCK + size;
        let padding = end.next_multiple_of(BLOCK) - end;
        self.file
            .write_all(&[0; BLOCK as usize][..padding as usize])?;
        self.at = end + padding;
        let header = header(name, size, EntryType::Regular)?;
        self.file.seek(SeekFrom::Start(start))?;
        self.file.write_all(header.as_bytes())?;
        self.file.seek(SeekFrom::Start(self.at))?;
        Ok(size)
    }

    /// Writes the end, and makes the file durable.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.file.write_all(&[0; 2 * BLOCK as usize])?;
        let file = self
            .file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.sync_all()
    }
}

fn header(name: &str, size: u64, kind: EntryType) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(name)?;
    header.set_size(size);
    header.set_entry_type(kind);
    header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    Ok(header)
}
