//! Refused log-ins: some of each source are written, the others are counted.

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
/// How long lines and counts are taken together.
const MINUTE: Duration = Duration::from_mins(1);
/// Sources that are told apart. What comes from others meanwhile counts as of
/// one source.
const SOURCES: usize = 4096;

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
    /// `None` for the sources that were not told apart.
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

/// The minute of a source.
#[derive(Debug)]
struct Window {
    /// By the monotonic clock.
    began: Duration,
    noted: u64,
}

impl Window {
    fn counted(&self, source: Option<Network>) -> Option<Counted> {
        let times = self.noted.saturating_sub(LINES);
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
        let mut key = Some(Network::of(source));
        if windows.of.len() >= SOURCES && !windows.of.contains_key(&key) {
            key = None;
        }
        if windows.of.is_empty() {
            windows.next_end = now + MINUTE;
        }
        let window = windows.of.entry(key).or_insert(Window {
            began: now,
            noted: 0,
        });
        window.noted += 1;
        if window.noted <= LINES {
            Verdict::Line
        } else {
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
            let over = now.saturating_sub(window.began) >= MINUTE;
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
    fn many_sources_are_told_apart_up_to_a_bound_and_all_are_counted() {
        let refused = Refused::default();
        let sources = 3 * SOURCES as u32;
        let mut lines = 0;
        for number in 0..sources {
            if refused.note(Some(address(number)), Duration::ZERO) == Verdict::Line {
                lines += 1;
            }
        }
        assert_eq!(refused.lock().of.len(), SOURCES + 1);
        let counted: u64 = refused.ended(MINUTE).iter().map(|each| each.times).sum();
        assert_eq!(lines + counted, u64::from(sources));
        assert!(refused.lock().of.is_empty());
    }
}
