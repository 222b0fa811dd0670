//! What is on record about an upload: where its bytes are.
//!
//! The state is written by one writer, and counts when its row is committed by
//! that writer's token. It is text, one fact a line:
//!
//! ```text
//! landfall-s3 1
//! token 7
//! upload 5 2~abc
//! part 8388608 0cc175b9c0f1b6a831c399e269772661
//! tail 1234
//! old tail 6
//! gap !
//! ```

use std::fmt::Write;

/// Where the bytes of an upload are, in their order: parts, then the tail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    /// The writer that this is from.
    pub(super) token: u64,
    pub(super) multipart: Option<Multipart>,
    /// How many bytes are in the tail that this writer has put aside.
    pub(super) tail: u64,
    /// What nobody needs any more once this is on record.
    pub(super) old: Vec<Old>,
    /// Whether there were writers whose work never came on record. Nobody knows
    /// what they have left behind.
    pub(super) gap: bool,
}

/// A multipart upload that was not completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Multipart {
    /// The writer that has started it, and has named it.
    pub(super) token: u64,
    /// The server's name for it.
    pub(super) id: String,
    pub(super) parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) size: u64,
    /// What the server calls it, without quotes.
    pub(super) etag: String,
}

/// An object that was left behind, by the token in its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Old {
    Tail(u64),
    Blob(u64),
}

const FIRST_LINE: &str = "landfall-s3 1";

impl Multipart {
    /// How many bytes the parts have.
    pub(super) fn size(&self) -> u64 {
        self.parts.iter().map(|part| part.size).sum()
    }
}

impl State {
    /// How many bytes the upload has.
    pub(super) fn size(&self) -> u64 {
        self.multipart.as_ref().map_or(0, Multipart::size) + self.tail
    }

    pub(super) fn save(&self) -> Vec<u8> {
        let mut text = format!("{FIRST_LINE}\ntoken {}\n", self.token);
        // Writing to a text can't fail.
        if let Some(Multipart { token, id, parts }) = &self.multipart {
            let _ = writeln!(text, "upload {token} {id}");
            for Part { size, etag } in parts {
                let _ = writeln!(text, "part {size} {etag}");
            }
        }
        if self.tail > 0 {
            let _ = writeln!(text, "tail {}", self.tail);
        }
        if self.gap {
            text.push_str("gap !\n");
        }
        for old in &self.old {
            let _ = match old {
                Old::Tail(token) => writeln!(text, "old tail {token}"),
                Old::Blob(token) => writeln!(text, "old blob {token}"),
            };
        }
        text.into_bytes()
    }

    /// Reads what [`State::save`] wrote; `None` for anything else.
    pub(super) fn restore(saved: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(saved).ok()?;
        let mut lines = text.lines();
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let mut state = Self::default();
        for line in lines {
            let (what, rest) = line.split_once(' ')?;
            match what {
                "token" => state.token = rest.parse().ok()?,
                "upload" => {
                    let (token, id) = rest.split_once(' ')?;
                    state.multipart = Some(Multipart {
                        token: token.parse().ok()?,
                        id: id.to_owned(),
                        parts: Vec::new(),
                    });
                }
                "part" => {
                    let (size, etag) = rest.split_once(' ')?;
                    state.multipart.as_mut()?.parts.push(Part {
                        size: size.parse().ok()?,
                        etag: etag.to_owned(),
                    });
                }
                "tail" => state.tail = rest.parse().ok()?,
                "gap" => state.gap = true,
                "old" => {
                    let (kind, token) = rest.split_once(' ')?;
                    let token = token.parse().ok()?;
                    state.old.push(match kind {
                        "tail" => Old::Tail(token),
                        "blob" => Old::Blob(token),
                        _ => return None,
                    });
                }
                _ => return None,
            }
        }
        Some(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_reads_back() {
        let part = |size| Part {
            size,
            etag: "0cc175b9c0f1b6a831c399e269772661".to_owned(),
        };
        let full = State {
            token: 7,
            multipart: Some(Multipart {
                token: 5,
                id: "2~a/b+c= d".to_owned(),
                parts: vec![part(8 << 20), part(5 << 20)],
            }),
            tail: 99,
            old: vec![Old::Tail(6), Old::Blob(4)],
            gap: true,
        };
        assert_eq!(full.size(), (13 << 20) + 99);
        for state in [State::default(), full] {
            assert_eq!(State::restore(&state.save()), Some(state));
        }
    }

    #[test]
    fn another_text_is_no_state() {
        for text in [
            "",
            "landfall-s3 2\n",
            "landfall-s3 1\npart 1 x\n",
            "landfall-s3 1\ntoken x\n",
            "landfall-s3 1\nold thing 1\n",
        ] {
            assert_eq!(State::restore(text.as_bytes()), None, "{text}");
        }
        assert_eq!(State::restore(b"\xff"), None);
    }
}
