//! # The durability contract
//!
//! What is durable when a call of a [`BlobStore`](crate::BlobStore) returns,
//! what a crash can leave behind, and who clears it away. Everything that
//! answers a client leans on this document. It speaks of the store on a disk
//! first, then of what is [different in a bucket](#in-a-bucket). The few
//! functions below it are the only places of the crate that sync anything by
//! name.
//!
//! ## Overview
//!
//! A blob is acknowledged (a 2xx to the client) only after five things have
//! happened in this order:
//!
//! ```text
//! write(bytes) -> fsync(file) -> rename -> fsync(directory) -> database commit -> 2xx
//! '----------- finish -----------'--------- promote --------'---- the caller ----'
//! ```
//!
//! The store does the first four and the caller the rest. The order makes every
//! crash harmless: before the rename there is a staged file that nobody has
//! been promised; after the rename and before the commit there is an object
//! that no row names; after the commit the bytes and their name are durable.
//! At no time does a row name bytes that a crash can take away.
//!
//! ## Layout
//!
//! ```text
//! <root>/store-id                                   the store's identifier, one line
//! <root>/staging/<upload id>                        bytes of a running upload
//! <root>/blobs/<algorithm>/<2 hex>/<hex>.<upload id>   one object; the path below
//!                                                   `blobs` is its location
//! <root>/quarantine/<algorithm>.<hex>.<upload id>   damaged objects, moved aside
//! <root>/probe                                      exists for an instant
//! ```
//!
//! A file under `blobs` is never written to: it comes there whole, by rename,
//! and goes by unlink. Its name holds the upload's identifier, so that no name
//! is ever used twice. A path derived from the digest alone would lose
//! acknowledged bytes: a collector that has decided to delete the digest would
//! unlink the file that a push of the same digest has just put there.
//!
//! ## Consistency
//!
//! | when this has returned | this is durable |
//! |---|---|
//! | `claim` | the marker's bytes, its name |
//! | `stage`, `append` | nothing new |
//! | `suspend` | all bytes up to the offset; the staged file's name |
//! | `finish` | all bytes; the name is left to `promote` |
//! | `promote` | the name under `blobs`, and every directory above it |
//! | `quarantine` | the new name, and that the old one is gone |
//! | `discard`, `delete` | nothing: the file may be back after a power cut |
//!
//! - A new directory is synced into its parent before a file in it is promised.
//!   A process can't know whether the one before it came that far, so it syncs
//!   every directory's parent once, when it first uses the directory.
//! - `sync_file_range` runs along while an upload is written, so that the last
//!   fsync finds little left to do. It is a hint, promises nothing, and its
//!   failure is not looked at: fsync reports the same failure again.
//! - **A failed fsync is an error and is never retried.** The kernel may drop
//!   the dirty pages it could not write and report success the next time. The
//!   staged file is discarded, the upload is lost, and the client sends again.
//!   When the directory's fsync fails, the object that was just renamed into it
//!   is removed, so that a repeated `promote` can't find it and succeed.
//! - An upload has one writer. `stage`, `promote` and `discard` fence the
//!   earlier writer off: its next batch is refused before it touches the file,
//!   and a batch that is being written is waited for. So a slow request can't
//!   write into a file that a later request has continued or promoted. This
//!   holds within a process; a lock on the root directory keeps a second
//!   process out.
//!
//! ## Crash consistency
//!
//! What a crash or a power cut leaves, and why nobody sees it:
//!
//! | left behind | seen as |
//! |---|---|
//! | a staged file longer than its row says, or with holes in that part | `stage` cuts it to the row's offset |
//! | a staged file that was never suspended, perhaps empty | no row has an offset above 0: `stage` starts over |
//! | a staged file shorter than its row says | can't come from a crash; `stage` answers `Lost` |
//! | an object that was promoted, while the row of its upload goes on | `stage` takes it back to its staged file, and cuts it to the row's offset |
//! | a staged file and its promoted copy, on a file system whose rename is not one step | no harm: `stage` and `promote` take the staged file, whose bytes replace the other |
//! | an object that no row names | invisible; the orphan sweep deletes it |
//! | an empty directory | used by the next promotion |
//! | `store-id.<id>`, the half-written marker | written over by the next claim |
//!
//! ## Cleanup
//!
//! The store cleans nothing up by itself, because it does not know what is
//! still wanted. The caller lists staged and stored objects, and discards or
//! deletes those that no row names and that are **older than the longest
//! upload session**. A younger one may belong to a promotion whose commit is
//! still to come. Deleting is repeatable, so the caller deletes first and
//! forgets the row afterwards; if a power cut brings the file back, it is an
//! orphan like any other. Quarantined files are left to a person.
//!
//! ## Cancellation
//!
//! Every call may be dropped at any await. Work that has reached the blocking
//! pool runs to its end all the same, so a dropped call may or may not have
//! happened, as with a crash; it never happened in half. In detail:
//!
//! - A dropped [`Staging`](crate::Staging) leaves a batch at most that is still
//!   being written. The next `stage` of the upload waits for it or fences it
//!   off, then cuts the file to its offset.
//! - A dropped `promote` is repeated by calling it again.
//! - A dropped listing stops at its next entry, a dropped blob stream at once.
//!
//! ## In a bucket
//!
//! An S3 server answers a write when it is durable, shows it to every reader
//! from then on, and shows no object in half. There is no rename and nothing to
//! sync. The names are told in `s3::keys`.
//!
//! | when this has returned | this is durable |
//! |---|---|
//! | `claim` | the marker; put only if there was none |
//! | `stage`, `append` | parts, perhaps, that no record names |
//! | `suspend` | all bytes: parts of a multipart upload, then the tail |
//! | `finish` | the last part; a small upload is still held in memory |
//! | `promote` | the object |
//! | `quarantine` | the copy; then the object is deleted |
//! | `discard`, `delete` | that it is gone |
//!
//! - **What is on record** is the offset, the hash, and the store's state, all
//!   three committed by the token of the writer. Bytes that no record names
//!   don't count, whoever has written them.
//! - **No two writers write to one name.** The names of tails and objects end with
//!   the token of the writer; a multipart upload has one writer after the other
//!   without a gap in their tokens, and is closed, by the server, before a writer
//!   that finds a gap goes on with a copy.
//! - **An answer that was lost** is not a failure. A put that finds its object,
//!   and a completion that finds no upload, look at what is there: the size
//!   and the entity tag that follows from the parts tell an own earlier success
//!   from somebody else's.
//! - The server compares the MD5 of each body. A blob's own digest is compared
//!   by the caller before it is promoted, as on a disk.
//!
//! What a crash leaves, and why nobody sees it:
//!
//! | left behind | seen as |
//! |---|---|
//! | parts that no record names | the next writer finds a gap in the tokens and leaves them behind; closing the upload throws them away |
//! | a multipart upload that no record names, or that was started twice because an answer was lost | `list_staged` shows it; the sweep discards it |
//! | a tail that no record names | the same |
//! | an object of an upload that goes on | its first bytes are those on record: `stage` copies them |
//! | an object that no row names | invisible; the orphan sweep deletes it |
//! | a copy in the quarantine and the object | `quarantine` copies once more |
//! | an object below `probe` | a few bytes that nobody looks at |
//!
//! A promotion after a gap clears all of this away for its upload, but touches
//! nothing of a writer with a later token than its own. Two things are slower to
//! go than on a disk: an upload that is closed with another algorithm than it
//! was hashed with becomes an object before its digest is known, and if that is
//! wrong, the object waits for the orphan sweep; and the age of an object that was
//! uploaded in parts may count from the start of the upload, on some servers.
//! The sweep and the commit exclude each other in the database, so that
//! this is never a blob that somebody was promised.
//!
//! **Cancellation**: a dropped call may leave a request on its way, which the
//! server may still carry out. That is the same as a crash at that moment.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use crate::Error;

/// Makes the bytes and the size of `file` durable.
pub(crate) fn sync_file(file: &File) -> io::Result<()> {
    file.sync_all()
}

/// Makes the names in the directory `path` durable: what was made in it,
/// renamed into it, or removed from it.
pub(crate) fn sync_directory(path: &Path) -> Result<(), Error> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| Error::io("syncing a directory of the blob store", error))
}

/// Makes the directory `path` if it is not there, and syncs it into its parent
/// in any case: an earlier process may have crashed between the two.
pub(crate) fn create_directory(path: &Path) -> Result<(), Error> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !path.is_dir() => {
            return Err(Error::io("making a directory of the blob store", error));
        }
        Ok(()) | Err(_) => {}
    }
    path.parent().map_or(Ok(()), sync_directory)
}

/// As [`create_directory`], for every missing directory above `path` too.
pub(crate) fn create_directories(path: &Path) -> Result<(), Error> {
    if let Some(parent) = path.parent()
        && !parent.is_dir()
    {
        create_directories(parent)?;
    }
    create_directory(path)
}
