//! The notation of one call: `name(argument, ...) = result`.
//!
//! Descriptors are annotated (`5</path>`), strings are in C's notation and may
//! be cut (`"abc"...`), structures are in braces. strace(1) describes all of it.

use std::path::{Path, PathBuf};

use super::event::{Call, Outcome, Target};

/// A call that is taken apart, but not yet understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Notation<'a> {
    pub(crate) name: &'a str,
    pub(crate) arguments: Vec<&'a str>,
    /// What follows `=`; `None` if the call has not ended.
    pub(crate) result: Option<&'a str>,
}

impl<'a> Notation<'a> {
    /// Takes `name(a, b) = result` apart; `None` for anything else.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (name, rest) = text.split_once('(')?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_name) {
            return None;
        }
        let (arguments, rest) = arguments(rest);
        let result = rest.and_then(|rest| rest.trim_start().strip_prefix('='));
        Some(Self {
            name,
            arguments,
            result: result.map(str::trim),
        })
    }

    /// How the call ended.
    pub(crate) fn outcome(&self) -> Outcome {
        let Some(result) = self.result else {
            return Outcome::Unfinished;
        };
        let mut words = result.split_whitespace();
        let value = words.next().unwrap_or_default();
        let number = value
            .split('<')
            .next()
            .and_then(|number| number.parse().ok());
        match (number, words.next()) {
            // `? ERESTARTSYS`: it was interrupted and, if it goes on, appears again.
            (Some(-1) | None, Some(error)) => Outcome::Failed(error.to_owned()),
            (Some(number), _) => Outcome::Returned(number),
            // `?` alone: the thread ended in the call.
            (None, None) => Outcome::Unfinished,
        }
    }

    /// The call, if it is one that matters for durability.
    pub(crate) fn call(&self) -> Option<Call> {
        let argument = |index: usize| self.arguments.get(index).copied();
        let target = || argument(0).map(target);
        Some(match self.name {
            // A call that failed shows an address instead of bytes.
            "read" | "recvfrom" => Call::Read {
                target: target()?,
                start: argument(1)
                    .and_then(string)
                    .map_or_else(Vec::new, |string| string.bytes),
            },
            "write" | "pwrite64" | "sendto" => Call::Write {
                target: target()?,
                start: string(argument(1)?).map_or_else(Vec::new, |string| string.bytes),
            },
            "writev" | "pwritev" | "pwritev2" | "sendmsg" => Call::Write {
                target: target()?,
                start: buffers(argument(1)?),
            },
            "fsync" | "fdatasync" => Call::Sync {
                target: target()?,
                data_only: self.name == "fdatasync",
            },
            "sync_file_range" => Call::SyncRange { target: target()? },
            "close" => Call::Close { target: target()? },
            "rename" => Call::Rename {
                from: path(None, argument(0)?)?,
                to: path(None, argument(1)?)?,
            },
            "renameat" | "renameat2" => Call::Rename {
                from: path(argument(0), argument(1)?)?,
                to: path(argument(2), argument(3)?)?,
            },
            "openat" => Call::Open {
                path: self.opened().or_else(|| path(argument(0), argument(1)?))?,
                flags: argument(2)?.to_owned(),
            },
            _ => return None,
        })
    }

    /// The path of the descriptor that was returned: links resolved.
    fn opened(&self) -> Option<PathBuf> {
        target(self.result?).path().map(Path::to_owned)
    }
}

/// Splits at the commas between arguments, up to the closing parenthesis; then
/// what follows it, if it is there.
fn arguments(text: &str) -> (Vec<&str>, Option<&str>) {
    let bytes = text.as_bytes();
    let (mut found, mut start, mut depth, mut at) = (Vec::new(), 0, 0_usize, 0);
    let mut end = None;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = string_end(bytes, at),
            b'<' => at = annotation_end(bytes, at),
            b'(' | b'[' | b'{' => depth += 1,
            b')' if depth == 0 => {
                end = Some(at);
                break;
            }
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                found.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    let last = text[start..end.unwrap_or(text.len())].trim();
    if !last.is_empty() {
        found.push(last);
    }
    (found, end.map(|end| &text[end + 1..]))
}

/// The position of the quotation mark that ends the string which begins at `at`.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at.min(bytes.len())
}

/// The position of the `>` that ends an annotation: paths have theirs escaped,
/// and the one in `TCP:[a->b]` is followed by an address.
fn annotation_end(bytes: &[u8], at: usize) -> usize {
    let ends = |at: usize| {
        let next = bytes.get(at + 1);
        bytes[at] == b'>' && next.is_none_or(|next| b",)]}( ".contains(next))
    };
    (at..bytes.len())
        .find(|at| ends(*at))
        .unwrap_or(bytes.len())
}

/// What a descriptor such as `5</path>` or `6<socket:[1]>` stands for.
fn target(descriptor: &str) -> Target {
    let annotation = descriptor.split_once('<').and_then(|(_, rest)| {
        let end = annotation_end(rest.as_bytes(), 0);
        rest.get(..end)
    });
    match annotation {
        Some(path) if path.starts_with('/') => Target::File(os_path(unescaped(path.as_bytes()))),
        Some(other) => Target::Other(other.to_owned()),
        None => Target::Other(descriptor.to_owned()),
    }
}

fn os_path(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

/// A path argument, resolved against its directory if that is annotated.
fn path(directory: Option<&str>, name: &str) -> Option<PathBuf> {
    let name = os_path(string(name)?.bytes);
    Some(match directory.map(target) {
        Some(Target::File(directory)) => directory.join(name),
        _ => name,
    })
}

/// A string argument.
struct Text {
    bytes: Vec<u8>,
    is_cut: bool,
}

fn string(argument: &str) -> Option<Text> {
    let bytes = argument.as_bytes();
    if bytes.first() != Some(&b'"') {
        return None;
    }
    let end = string_end(bytes, 0);
    Some(Text {
        bytes: unescaped(bytes.get(1..end)?),
        is_cut: argument
            .get(end + 1..)
            .is_some_and(|rest| rest.starts_with("...")),
    })
}

/// The bytes of all buffers in an argument, up to the first one that is cut.
fn buffers(argument: &str) -> Vec<u8> {
    let mut all = Vec::new();
    // A quotation mark within a string is escaped, so this finds fields only.
    for (at, field) in argument.match_indices("iov_base=\"") {
        let Some(buffer) = argument.get(at + field.len() - 1..).and_then(string) else {
            break;
        };
        all.extend(buffer.bytes);
        if buffer.is_cut {
            break;
        }
    }
    all
}

/// Undoes C's escapes: `\n`, `\"`, `\17`, `\x0f`.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let (b'\\', Some(&escape)) = (byte, after.first()) else {
            bytes.push(byte);
            continue;
        };
        rest = &after[1..];
        let (value, digits) = match escape {
            b'0'..=b'7' => number(after, 3, 8),
            b'x' => number(rest, 2, 16),
            b'n' => (b'\n', 0),
            b'r' => (b'\r', 0),
            b't' => (b'\t', 0),
            b'v' => (0x0b, 0),
            b'f' => (0x0c, 0),
            other => (other, 0),
        };
        bytes.push(value);
        rest = match escape {
            b'0'..=b'7' => &after[digits..],
            _ => &rest[digits..],
        };
    }
    bytes
}

/// Up to `most` digits to the base `radix`; the value and how many they were.
fn number(text: &[u8], most: usize, radix: u32) -> (u8, usize) {
    let (mut value, mut count) = (0_u32, 0);
    for byte in text.iter().take(most) {
        let Some(digit) = char::from(*byte).to_digit(radix) else {
            break;
        };
        value = value * radix + digit;
        count += 1;
    }
    ((value & 0xff) as u8, count)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn call(text: &str) -> Call {
        Notation::parse(text).unwrap().call().unwrap()
    }

    fn file(path: &str) -> Target {
        Target::File(path.into())
    }

    #[test]
    fn arguments_are_split_outside_of_strings_structures_and_annotations() {
        let text = r#"writev(5</a, (b>, [{iov_base="x, \")", iov_len=5}, {iov_base="y"..., iov_len=9}], 2) = 14"#;
        let notation = Notation::parse(text).unwrap();
        assert_eq!(notation.arguments.len(), 3);
        assert_eq!(notation.arguments[0], "5</a, (b>");
        assert_eq!(notation.outcome(), Outcome::Returned(14));
        let (target, start) = (file("/a, (b"), b"x, \")y".to_vec());
        assert_eq!(notation.call(), Some(Call::Write { target, start }));
    }

    #[test]
    fn escapes_in_payloads_and_paths_are_undone() {
        let text = r#"write(7</tmp/a\76b>(deleted), "\0\x41\101B\r\n\\\377"..., 4096) = 4096"#;
        let (target, start) = (file("/tmp/a>b"), b"\0AAB\r\n\\\xff".to_vec());
        assert_eq!(call(text), Call::Write { target, start });
    }

    #[test]
    fn sockets_are_not_files() {
        let text = r#"sendto(9<TCP:[127.0.0.1:80->127.0.0.1:5]>, "HTTP/1.1 201", 12, MSG_NOSIGNAL, NULL, 0) = 12"#;
        let target = Target::Other("TCP:[127.0.0.1:80->127.0.0.1:5]".to_owned());
        let start = b"HTTP/1.1 201".to_vec();
        assert_eq!(call(text), Call::Write { target, start });
        let text = r#"sendmsg(9<socket:[31]>, {msg_name={sa_family=AF_UNIX, sun_path="/x"}, msg_iov=[{iov_base="ab", iov_len=2}], msg_iovlen=1}, 0) = 2"#;
        let (target, start) = (Target::Other("socket:[31]".to_owned()), b"ab".to_vec());
        assert_eq!(call(text), Call::Write { target, start });
    }

    #[test]
    fn what_is_read_is_known_if_the_call_succeeds() {
        let read = |start: &[u8]| Call::Read {
            target: Target::Other("socket:[31]".to_owned()),
            start: start.to_vec(),
        };
        let text = r#"recvfrom(9<socket:[31]>, "PUT /v2/", 8192, 0, NULL, NULL) = 8"#;
        assert_eq!(call(text), read(b"PUT /v2/"));
        let text = "recvfrom(9<socket:[31]>, 0x7f00, 8192, 0, NULL, NULL) = -1 EAGAIN (Again)";
        assert_eq!(call(text), read(b""));
        assert_eq!(call("read(9<socket:[31]>"), read(b""));
    }

    #[test]
    fn renames_are_resolved_against_their_directories() {
        let text =
            r#"renameat2(AT_FDCWD</data>, "staging/x", 4</data/blobs>, "y", RENAME_NOREPLACE) = 0"#;
        let (from, to) = ("/data/staging/x".into(), "/data/blobs/y".into());
        assert_eq!(call(text), Call::Rename { from, to });
        let (from, to) = ("/a".into(), "b".into());
        assert_eq!(call(r#"rename("/a", "b") = 0"#), Call::Rename { from, to });
    }

    #[test]
    fn failures_and_calls_without_an_end_are_told_apart() {
        let outcome = |text| Notation::parse(text).unwrap().outcome();
        let failed = outcome("fsync(3</a>) = -1 EIO (Input/output error)");
        assert_eq!(failed, Outcome::Failed("EIO".to_owned()));
        assert_eq!(outcome("fsync(3</a>"), Outcome::Unfinished);
        assert_eq!(outcome("fsync(3</a>) = ?"), Outcome::Unfinished);
        let opened = r#"openat(AT_FDCWD</w>, "l", O_RDWR|O_CREAT, 0666) = 3</real>"#;
        assert_eq!(outcome(opened), Outcome::Returned(3));
        let flags = "O_RDWR|O_CREAT".to_owned();
        assert_eq!(
            call(opened),
            Call::Open {
                path: "/real".into(),
                flags
            }
        );
    }

    proptest! {
        #[test]
        fn no_line_makes_the_parser_panic(text in "[a-z]{1,6}\\(.{0,80}") {
            if let Some(notation) = Notation::parse(&text) {
                notation.outcome();
                notation.call();
            }
        }

        #[test]
        fn no_write_makes_the_parser_panic(text in "[\"\\\\<>\\[\\]{},()=x0-9a ]{0,40}") {
            for call in ["write", "writev", "renameat", "openat"] {
                let text = format!("{call}(3</a>, {text}");
                if let Some(notation) = Notation::parse(&text) {
                    notation.call();
                }
            }
        }
    }
}
