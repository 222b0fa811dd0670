//! Refused log-ins: some of each source are written, the others are counted.
//!
//! Two bounds: so many lines of one source in a minute, and so many of all of
//! them, because whoever has many addresses could fill the disk as well. Only a
//! source that has got a line is remembered, so the second bound is also that of
//! the memory, and of the lines that tell how many were counted.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::AuditEvent;
use crate::{Caller, source::Network};

/// Lines of one source in a minute, at the most.
pub(crate) const LINES: u64 = 10;
/// Lines of all sources in a minute, at the most. What comes after them counts
/// as of one source.
const ALL_LINES: u64 = 600;
/// How long lines and counts are taken together.
const MINUTE: Duration = Duration::from_mins(1);

/// What becomes of a refused log-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It gets a line.
    Line,
    /// It is counted.
    Counted,
}

/// How many of a source were counted in a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    /// `None` for those that came when there had been too many of all sources.
    source: Option<Network>,
    times: u64,
}

impl Counted {
    /// The line that tells of them.
    pub(crate) fn event(self) -> AuditEvent {
        let address = self.source.and_then(Network::address);
        let mut event = AuditEvent::new(&Caller::anonymous(address), "login", "principal", "")
            .refused("refused as those before, and counted");
        event.times = self.times;
        if self.source.is_none() {
            event = event.detail("of several sources");
        }
        event
    }
}

/// The minute of a source, or of all.
#[derive(Debug, Default)]
struct Window {
    /// By the monotonic clock.
    began: Duration,
    /// How many got a line.
    lines: u64,
    /// How many got none.
    counted: u64,
}

impl Window {
    fn new(began: Duration) -> Self {
        Self {
            began,
            ..Self::default()
        }
    }

    fn over(&self, now: Duration) -> bool {
        now.saturating_sub(self.began) >= MINUTE
    }

    fn counted(&self, source: Option<Network>) -> Option<Counted> {
        let times = self.counted;
        (times > 0).then_some(Counted { source, times })
    }
}

/// The present minutes of all sources.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    /// A std mutex: it is held for a look into the map, or a walk through it
    /// once a minute, and never across an await.
    windows: Mutex<Windows>,
}

#[derive(Debug, Default)]
struct Windows {
    of: HashMap<Option<Network>, Window>,
    /// The lines of all of them.
    all: Window,
    /// No minute ends before this.
    next_end: Duration,
}

impl Refused {
    fn lock(&self) -> MutexGuard<'_, Windows> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes one from this source. Ask for what [ended](Refused::ended) after it.
    pub(crate) fn note(&self, source: Option<IpAddr>, now: Duration) -> Verdict {
        let mut windows = self.lock();
        if windows.all.over(now) {
            windows.all = Window::new(now);
        }
        let mut key = Some(Network::of(source));
        let has_had_its_lines = windows
            .of
            .get(&key)
            .is_some_and(|window| window.lines >= LINES);
        let gets_a_line = !has_had_its_lines && windows.all.lines < ALL_LINES;
        if !gets_a_line && !has_had_its_lines {
            key = None;
        }
        if windows.of.is_empty() {
            windows.next_end = now + MINUTE;
        }
        let window = windows.of.entry(key).or_insert_with(|| Window::new(now));
        if gets_a_line {
            window.lines += 1;
            windows.all.lines += 1;
            Verdict::Line
        } else {
            window.counted += 1;
            Verdict::Counted
        }
    }

    /// What was counted in minutes that are over. They are forgotten.
    pub(crate) fn ended(&self, now: Duration) -> Vec<Counted> {
        let mut windows = self.lock();
        if windows.of.is_empty() || now < windows.next_end {
            return Vec::new();
        }
        let mut counted = Vec::new();
        windows.of.retain(|source, window| {
            let over = window.over(now);
            if over {
                counted.extend(window.counted(*source));
            }
            !over
        });
        let first = windows.of.values().map(|window| window.began).min();
        windows.next_end = first.unwrap_or(now) + MINUTE;
        counted
    }

    /// All that was counted.
    pub(crate) fn all(&self) -> Vec<Counted> {
        let mut windows = self.lock();
        let of = std::mem::take(&mut windows.of);
        of.into_iter()
            .filter_map(|(source, window)| window.counted(source))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    #[test]
    fn ten_of_a_source_get_lines_in_a_minute_and_the_rest_one() {
        let refused = Refused::default();
        let start = Duration::from_secs(100);
        let lines = (0..50)
            .filter(|_| refused.note(Some(address(1)), start) == Verdict::Line)
            .count();
        assert_eq!(lines as u64, LINES);
        assert_eq!(
            refused.note(Some(address(2)), start),
            Verdict::Line,
            "another source"
        );
        assert!(refused.ended(start + MINUTE / 2).is_empty(), "it goes on");
        let counted = Counted {
            source: Some(Network::of(Some(address(1)))),
            times: 40,
        };
        assert_eq!(refused.ended(start + MINUTE), [counted]);
        assert_eq!(
            refused.note(Some(address(1)), start + MINUTE),
            Verdict::Line
        );
    }

    #[test]
    fn many_sources_get_so_many_lines_a_minute_and_the_rest_one() {
        const SOURCES: u64 = 20_000;
        let refused = Refused::default();
        let lines_at = |now| {
            (0..SOURCES as u32)
                .filter(|number| refused.note(Some(address(*number)), now) == Verdict::Line)
                .count() as u64
        };
        assert_eq!(lines_at(Duration::ZERO), ALL_LINES);
        let remembered = refused.lock().of.len() as u64;
        assert_eq!(remembered, ALL_LINES + 1, "of each line, and of the rest");
        let counted = |times| Counted {
            source: None,
            times,
        };
        let rest = SOURCES - ALL_LINES;
        assert_eq!(lines_at(MINUTE / 2), 0, "the minute goes on");
        assert_eq!(refused.ended(MINUTE), [counted(rest + SOURCES)]);
        assert!(refused.lock().of.is_empty());
        assert_eq!(lines_at(MINUTE), ALL_LINES, "another minute");
        assert_eq!(refused.all(), [counted(rest)]);
    }
}
