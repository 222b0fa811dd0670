//! Starts the writing of dirty pages while an upload is still coming in.
//!
//! Without it the kernel keeps hundreds of megabytes until the last fsync, and
//! the client waits for all of them at once. The call only starts the writing;
//! it neither waits nor promises anything, so its failure is not looked at.

use std::{fs::File, os::fd::AsRawFd};

/// Starts the writing of `length` bytes of `file` from `offset` on.
#[expect(unsafe_code, reason = "no crate wraps `sync_file_range`")]
pub(super) fn start(file: &File, offset: u64, length: u64) {
    let (Ok(offset), Ok(length)) = (i64::try_from(offset), i64::try_from(length)) else {
        return;
    };
    // SAFETY: the call takes four integers and touches no memory of ours; the
    // descriptor is open as long as `file` is borrowed.
    let _hint = unsafe {
        libc::sync_file_range(
            file.as_raw_fd(),
            offset,
            length,
            libc::SYNC_FILE_RANGE_WRITE,
        )
    };
}
