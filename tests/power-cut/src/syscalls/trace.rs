//! A whole trace: the lines of all threads, calls joined with their ends.

use std::{collections::HashMap, time::Duration};

use super::{
    event::{Event, Outcome},
    line::Notation,
    matcher::EventMatch,
};

/// A line that `strace -f -ttt` does not write.
#[derive(Debug, thiserror::Error)]
#[error("line {line} is not of a trace by `strace -f -ttt -y`: `{text}`")]
pub struct NotATrace {
    /// The number of the line, from 1.
    pub line: usize,
    /// The line.
    pub text: String,
}

/// The calls of a server that matter for durability, in the order in which they
/// began.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    events: Vec<Event>,
}

/// A call whose end may still come.
struct Begun {
    line: usize,
    ended: Option<usize>,
    at: Duration,
    thread: u32,
    text: String,
}

const UNFINISHED: &str = " <unfinished ...>";
const DETACHED: &str = " <detached ...>";

impl Trace {
    /// Reads the output of `strace -f -ttt -y`, written by `-o` or to standard
    /// error. Signals, exits and calls that do not matter here are left out. A
    /// last line without its end is left out too: the tracer was writing it.
    pub fn parse(text: &str) -> Result<Self, NotATrace> {
        let mut begun: Vec<Begun> = Vec::new();
        let mut open: HashMap<u32, usize> = HashMap::new();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for (index, text) in whole.lines().enumerate() {
            let line = index + 1;
            if text.trim().is_empty() || text.starts_with("strace: ") {
                continue;
            }
            let (thread, at, text) = prefix(text).ok_or_else(|| NotATrace {
                line,
                text: text.to_owned(),
            })?;
            if text.starts_with("+++ ") || text.starts_with("--- ") {
                continue;
            }
            if let Some(end) = text.strip_prefix("<... ") {
                let end = end.split_once(" resumed>").map(|(_, end)| end);
                let call = open.remove(&thread).and_then(|index| begun.get_mut(index));
                // Without its beginning (the tracer came later) it is no event.
                if let (Some(call), Some(end)) = (call, end) {
                    let detached = end.strip_suffix(DETACHED);
                    call.text.push_str(detached.unwrap_or(end));
                    call.ended = detached.is_none().then_some(line);
                }
                continue;
            }
            let (call, ended) = match text.strip_suffix(UNFINISHED) {
                Some(call) => {
                    open.insert(thread, begun.len());
                    (call, None)
                }
                None => match text.strip_suffix(DETACHED) {
                    Some(call) => (call, None),
                    None => (text, Some(line)),
                },
            };
            begun.push(Begun {
                line,
                ended,
                at,
                thread,
                text: call.to_owned(),
            });
        }
        let events = begun.into_iter().map(event);
        Ok(Self {
            events: events
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .flatten()
                .collect(),
        })
    }

    /// All events, in the order in which they began.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The part of the trace that begins with the `count`-th event (from 1) that
    /// matches: a test with several requests can look at one of them. Empty if
    /// there are fewer. Matchers that refer to another step match nothing here.
    #[must_use]
    pub fn from_match(&self, matcher: &EventMatch, count: usize) -> Self {
        let mut left = count.max(1);
        let start = self.events.iter().position(|event| {
            left -= usize::from(matcher.matches(event));
            left == 0
        });
        Self {
            events: start.map_or_else(Vec::new, |start| self.events[start..].to_vec()),
        }
    }

    /// The part of the trace that ends with the first event that matches: what
    /// came later can't stand for what had to come before. All of it if there is
    /// none. Matchers that refer to another step match nothing here.
    #[must_use]
    pub fn up_to(&self, matcher: &EventMatch) -> Self {
        let end = self.events.iter().position(|event| matcher.matches(event));
        let end = end.map_or(self.events.len(), |end| end + 1);
        Self {
            events: self.events[..end].to_vec(),
        }
    }
}

fn event(begun: Begun) -> Result<Option<Event>, NotATrace> {
    let Some(notation) = Notation::parse(&begun.text) else {
        return Err(NotATrace {
            line: begun.line,
            text: begun.text,
        });
    };
    let outcome = match begun.ended {
        Some(_) => notation.outcome(),
        None => Outcome::Unfinished,
    };
    let call = notation.call();
    Ok(call.map(|call| Event {
        line: begun.line,
        ended: begun.ended.filter(|_| outcome != Outcome::Unfinished),
        at: begun.at,
        thread: begun.thread,
        call,
        outcome,
        text: begun.text,
    }))
}

/// Thread, time and the rest of a line: `4711 1700000000.123456 ...`, or
/// `[pid  4711] 1700000000.123456 ...`, or without a thread (0 then).
fn prefix(line: &str) -> Option<(u32, Duration, &str)> {
    let (thread, rest) = match line.strip_prefix("[pid ") {
        Some(rest) => {
            let (thread, rest) = rest.split_once("] ")?;
            (thread.trim().parse().ok()?, rest)
        }
        None => match line.split_once(' ') {
            Some((thread, rest)) if !thread.contains('.') => (thread.parse().ok()?, rest),
            _ => (0, line),
        },
    };
    let (time, rest) = rest.trim_start().split_once(' ')?;
    let (seconds, micros) = time.split_once('.')?;
    let micros: u32 = micros.parse().ok().filter(|micros| *micros < 1_000_000)?;
    let at = Duration::new(seconds.parse().ok()?, micros * 1000);
    Some((thread, at, rest.trim_start()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::syscalls::event::Call;

    #[test]
    fn calls_are_joined_with_their_ends_across_threads() {
        let trace = Trace::parse(
            "10    1.000001 fsync(3</d/a> <unfinished ...>\n\
             11    1.000002 write(4</d/b>, \"x\", 1 <unfinished ...>\n\
             12    1.000003 --- SIGCHLD {si_signo=SIGCHLD} ---\n\
             11    1.000004 <... write resumed>) = 1\n\
             10    1.000005 <... fsync resumed>)  = 0\n\
             12    1.000006 +++ exited with 0 +++\n\
             10    1.000007 futex(0x7f, FUTEX_WAKE, 1) = 0\n",
        )
        .unwrap();
        let [fsync, write] = trace.events() else {
            panic!("two events: {trace:?}");
        };
        assert_eq!((fsync.line, fsync.ended, fsync.thread), (1, Some(5), 10));
        assert_eq!((write.line, write.ended, write.thread), (2, Some(4), 11));
        assert_eq!(fsync.outcome, Outcome::Returned(0));
        assert!(!fsync.is_before(write) && !write.is_before(fsync));
        assert_eq!(write.at, Duration::from_micros(1_000_002));
    }

    #[test]
    fn calls_that_never_end_are_unfinished() {
        let trace = Trace::parse(
            "10 1.000001 <... futex resumed>) = 0\n\
             10 1.000002 fsync(3</d/a> <unfinished ...>\n\
             11 1.000003 write(4<socket:[1]>, \"HTTP\", 4 <detached ...>\n\
             12 1.000004 fdatasync(5</d/b>) = ?\n\
             13 1.000005 fdatasync(5</d/",
        )
        .unwrap();
        assert_eq!(trace.events().len(), 3);
        for event in trace.events() {
            assert_eq!((&event.outcome, event.ended), (&Outcome::Unfinished, None));
        }
    }

    #[test]
    fn lines_to_standard_error_are_understood() {
        let trace = Trace::parse(
            "strace: Process 12 attached\n\
             1.000001 fsync(3</d/a>) = 0\n\
             [pid    12] 1.000002 close(3</d/a>) = 0\n",
        )
        .unwrap();
        let threads: Vec<u32> = trace.events().iter().map(|event| event.thread).collect();
        assert_eq!(threads, [0, 12]);
        assert!(matches!(trace.events()[1].call, Call::Close { .. }));
    }

    #[test]
    fn other_text_is_refused_with_its_line() {
        let error = Trace::parse("10 1.000001 close(3) = 0\nhello\n").unwrap_err();
        assert_eq!(error.line, 2);
        assert!(error.to_string().contains("`hello`"));
    }

    #[test]
    fn a_trace_can_end_at_the_first_match() {
        let trace = Trace::parse(
            "10 1.000001 close(3</d/a>) = 0\n\
             10 1.000002 fsync(3</d/b>) = 0\n\
             10 1.000003 fsync(3</d/c>) = 0\n",
        )
        .unwrap();
        assert_eq!(trace.up_to(&EventMatch::sync()).events().len(), 2);
        assert_eq!(trace.up_to(&EventMatch::rename()).events().len(), 3);
    }

    #[test]
    fn a_trace_can_start_at_the_second_match() {
        let trace = Trace::parse(
            "10 1.000001 fsync(3</d/a>) = 0\n\
             10 1.000002 fsync(3</d/b>) = 0\n\
             10 1.000003 fsync(3</d/c>) = 0\n",
        )
        .unwrap();
        assert_eq!(trace.from_match(&EventMatch::sync(), 2).events().len(), 2);
        assert!(trace.from_match(&EventMatch::sync(), 4).events().is_empty());
    }
}
