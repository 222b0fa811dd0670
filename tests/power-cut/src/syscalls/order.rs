//! The order in which a server had to make its calls.

use std::fmt;

use super::{
    event::Event,
    matcher::{Bindings, EventMatch},
    trace::Trace,
};

/// Lines of a trace that a [`Report`] shows before and after the place.
const AROUND: usize = 4;
/// Lines of a trace that a [`Report`] shows at most.
const SHOWN: usize = 30;

/// Steps, each of which had to end before the next one began.
///
/// The last step is the one that the others protect (the answer to the client):
/// the order is kept only if the **first** event that matches the last step
/// comes after all the others. Of each other step some matching event has to
/// stand in its place; more of them may stand elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Order {
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
struct Step {
    matcher: EventMatch,
    is_last_match: bool,
}

/// How a trace breaks an [`Order`].
#[derive(Debug, thiserror::Error)]
pub enum Violation {
    /// A step did not happen at all: something is not synced.
    #[error("a step is missing: {0}")]
    Missing(Box<Report>),
    /// A step happened, but too early or too late.
    #[error("a step is out of order: {0}")]
    OutOfOrder(Box<Report>),
}

impl Violation {
    /// What is known about it.
    pub fn report(&self) -> &Report {
        match self {
            Self::Missing(report) | Self::OutOfOrder(report) => report,
        }
    }
}

/// Where an order is broken; its text shows the events around the place.
#[derive(Debug)]
pub struct Report {
    /// The step that is missing or out of order, from 1.
    pub step: usize,
    /// All steps, in words.
    pub steps: Vec<String>,
    /// The events that stand for the steps before it.
    pub matched: Vec<Event>,
    /// An event that matches the step but stands in the wrong place.
    pub misplaced: Option<Event>,
    /// Events around the place, in order.
    pub around: Vec<Event>,
}

/// A way through the first steps that goes no further.
struct DeadEnd {
    step: usize,
    path: Vec<usize>,
    misplaced: Option<usize>,
}

impl Order {
    /// No steps yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Then some event that matches.
    #[must_use]
    pub fn then(mut self, matcher: EventMatch) -> Self {
        self.steps.push(Step {
            matcher,
            is_last_match: false,
        });
        self
    }

    /// Then the last one of all events that match: none may come later, for the
    /// same path if the step binds one. For the writes that a sync has to cover.
    #[must_use]
    pub fn then_last(mut self, matcher: EventMatch) -> Self {
        self.steps.push(Step {
            matcher,
            is_last_match: true,
        });
        self
    }

    /// Whether the trace keeps the order; if not, the step that breaks it.
    pub fn check(&self, trace: &Trace) -> Result<(), Violation> {
        let events = trace.events();
        let mut path = Vec::new();
        match self.search(events, &Bindings::new(), &mut path) {
            Ok(()) => Ok(()),
            Err(dead_end) => Err(self.violation(events, &dead_end)),
        }
    }

    /// Walks on from the events in `path`, one per step. Of all ways that fail
    /// the one that got furthest is returned.
    ///
    /// For given bindings the match that ends first is as good as any other, so
    /// the walk branches only where a step can bind different paths.
    fn search(
        &self,
        events: &[Event],
        bindings: &Bindings,
        path: &mut Vec<usize>,
    ) -> Result<(), DeadEnd> {
        let Some(step) = self.steps.get(path.len()) else {
            return Ok(());
        };
        let is_final = path.len() + 1 == self.steps.len();
        let follows = |index: usize| {
            let previous = path.last().and_then(|previous| events.get(*previous));
            previous.is_none_or(|previous| previous.is_before(&events[index]))
        };
        let mut dead_end = DeadEnd {
            step: path.len(),
            path: path.clone(),
            misplaced: None,
        };
        let mut ways: Vec<(usize, Bindings)> = Vec::new();
        for (bindings, matches) in branches(&step.matcher, events, bindings) {
            let chosen = if step.is_last_match {
                matches.last().copied().filter(|index| follows(*index))
            } else if is_final {
                matches.first().copied().filter(|index| follows(*index))
            } else {
                let ended = |index: &usize| events[*index].ended.unwrap_or(usize::MAX);
                let following = matches.iter().copied().filter(|index| follows(*index));
                following.min_by_key(ended)
            };
            match chosen {
                Some(index) => ways.push((index, bindings)),
                None if step.is_last_match => dead_end.misplaced = matches.last().copied(),
                None => dead_end.misplaced = dead_end.misplaced.or(matches.first().copied()),
            }
        }
        for (index, bindings) in ways {
            path.push(index);
            match self.search(events, &bindings, path) {
                Ok(()) => return Ok(()),
                Err(other) if other.step > dead_end.step => dead_end = other,
                Err(_) => {}
            }
            path.pop();
        }
        Err(dead_end)
    }

    fn violation(&self, events: &[Event], dead_end: &DeadEnd) -> Violation {
        let last = dead_end.path.last().copied();
        let places = [last, dead_end.misplaced];
        let places: Vec<usize> = places.into_iter().flatten().collect();
        let first = places.iter().min().copied().unwrap_or(0);
        let final_place = places.iter().max().copied().unwrap_or(0);
        let start = first.saturating_sub(AROUND);
        // A missing step: what came instead is what follows.
        let after = if dead_end.misplaced.is_some() {
            AROUND
        } else {
            2 * AROUND
        };
        let end = (final_place + after + 1)
            .min(start + SHOWN)
            .min(events.len());
        let report = Box::new(Report {
            step: dead_end.step + 1,
            steps: self.steps.iter().map(ToString::to_string).collect(),
            matched: dead_end
                .path
                .iter()
                .map(|index| events[*index].clone())
                .collect(),
            misplaced: dead_end.misplaced.map(|index| events[index].clone()),
            around: events[start..end].to_vec(),
        });
        match report.misplaced {
            Some(_) => Violation::OutOfOrder(report),
            None => Violation::Missing(report),
        }
    }
}

/// The events that match, by the bindings that they make.
fn branches(
    matcher: &EventMatch,
    events: &[Event],
    before: &Bindings,
) -> Vec<(Bindings, Vec<usize>)> {
    let mut branches: Vec<(Bindings, Vec<usize>)> = Vec::new();
    for (index, event) in events.iter().enumerate() {
        let Some(after) = matcher.bound(event, before) else {
            continue;
        };
        match branches.iter_mut().find(|(bindings, _)| *bindings == after) {
            Some((_, indexes)) => indexes.push(index),
            None => branches.push((after, vec![index])),
        }
    }
    branches
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = if self.is_last_match { "last " } else { "" };
        write!(f, "{last}{}", self.matcher)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "step {} of {}", self.step, self.steps.len())?;
        for (index, step) in self.steps.iter().enumerate() {
            let mark = if index + 1 == self.step { "->" } else { "  " };
            writeln!(f, "{mark} {}. {step}", index + 1)?;
            if let Some(event) = self.matched.get(index) {
                writeln!(f, "        {event}")?;
            }
            if let (Some(event), "->") = (&self.misplaced, mark) {
                writeln!(f, "        misplaced: {event}")?;
            }
        }
        writeln!(f, "events around the place:")?;
        for event in &self.around {
            let mark = if self.misplaced.as_ref() == Some(event) {
                "!!"
            } else if self.matched.contains(event) {
                " *"
            } else {
                "  "
            };
            writeln!(f, "{mark} {event}")?;
        }
        Ok(())
    }
}
