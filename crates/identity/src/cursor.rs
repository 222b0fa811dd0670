//! Places in a list that its reader may not know.
//!
//! A list of what somebody may read is cut out of a longer one. Where a page
//! ends at an entry that they may not read, they get its name sealed: they can
//! go on from there, and learn nothing of it, not even its length.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::Identity;

const PURPOSE: &str = "place in a list";
/// What a sealed name begins with: no name of anything does.
const MARK: char = '~';
/// Names are filled up to a multiple of this many bytes: most are shorter.
const STEP: usize = 256;

impl Identity {
    /// Seals a name. It holds no NUL.
    pub fn cursor_seal(&self, name: &str) -> String {
        let mut text = name.as_bytes().to_vec();
        text.resize(text.len().next_multiple_of(STEP).max(STEP), 0);
        let sealed = self.master.seal(PURPOSE, &text);
        format!("{MARK}{}", BASE64_URL_SAFE_NO_PAD.encode(sealed))
    }

    /// The name that a cursor stands for: its own text, unless it is a sealed
    /// one. `None` if it was not sealed here.
    pub fn cursor_open(&self, cursor: String) -> Option<String> {
        let Some(encoded) = cursor.strip_prefix(MARK) else {
            return Some(cursor);
        };
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(encoded).ok()?;
        let text = self.master.open(PURPOSE, &sealed).ok()?;
        let text = std::str::from_utf8(&text).ok()?;
        Some(text.trim_end_matches('\0').to_owned())
    }
}
