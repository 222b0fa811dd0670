//! Reading the log: pages, and tails that wait at its end.

use landfall_database::{
    ReadTransaction,
    outbox::{self, Event, Part},
};
use landfall_ids::AccountId;

use crate::{
    Error, Notify, Result,
    log::Tail,
    pattern::{self, Pattern},
};

/// Events that are read at once.
const BATCH: usize = 500;
/// Events that are looked at for one page, at the most: a filter that fits
/// nothing must not read the whole log in one request.
const MOST: usize = 10_000;

/// Which events somebody wants to see.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Those of this account; of every one, if there is none.
    pub account: Option<AccountId>,
    /// Those of kinds that fit; of all, if there are none.
    pub kinds: Vec<Pattern>,
    /// Those of repositories that fit; of all, if there are none.
    pub repositories: Vec<Pattern>,
}

impl EventFilter {
    /// Whether the event is one of them.
    pub fn wants(&self, event: &Event) -> bool {
        self.account.is_none_or(|account| account == event.account)
            && pattern::any(&self.kinds, &event.kind)
            && pattern::any(&self.repositories, &event.subject)
    }

    /// The part of the log that holds them all.
    fn part(&self) -> Part<'_> {
        match (self.repositories.as_slice(), self.account) {
            ([only], _) if !only.as_str().contains('*') => Part::Subject(only.as_str()),
            (_, Some(account)) => Part::Account(account),
            (_, None) => Part::Everything,
        }
    }
}

/// Some of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// The events, in the order of their positions.
    pub events: Vec<Event>,
    /// How far the log was read: the next page starts behind it.
    pub position: u64,
    /// Whether there is more behind it.
    pub more: bool,
}

impl Notify {
    /// Up to `limit` events after the position `after`; 0 stands for the
    /// beginning of what is kept.
    pub async fn event_page(
        &self,
        filter: EventFilter,
        after: u64,
        limit: usize,
    ) -> Result<EventPage> {
        let page = self
            .database
            .read_long(move |tx| forward(tx, &filter, after, limit));
        page.await
    }

    /// The last `limit` events.
    pub async fn event_newest(&self, filter: EventFilter, limit: usize) -> Result<EventPage> {
        let page = self
            .database
            .read_long(move |tx| backward(tx, &filter, limit));
        page.await
    }

    /// A reader that waits for events after a position; after the last one, if
    /// there is none. 0 stands for the beginning of what is kept.
    pub async fn tail(&self, after: Option<u64>) -> Result<Tail> {
        let start = self
            .database
            .read(move |tx| match after {
                Some(after) => start(tx, after),
                None => Ok(outbox::head(tx)?),
            })
            .await?;
        Ok(Tail::new(self.log.clone(), start, self.stop.clone()))
    }
}

/// Where to begin to read after a position, if all that follows is still there.
fn start(tx: &ReadTransaction<'_>, after: u64) -> Result<u64> {
    let oldest = outbox::oldest(tx)?.saturating_sub(1);
    let head = outbox::head(tx)?;
    match after {
        0 => Ok(oldest),
        asked if asked < oldest => Err(Error::EventsGone { asked, oldest }),
        asked if asked > head => Err(Error::EventsAhead { asked, head }),
        asked => Ok(asked),
    }
}

fn forward(
    tx: &ReadTransaction<'_>,
    filter: &EventFilter,
    after: u64,
    limit: usize,
) -> Result<EventPage> {
    let mut page = EventPage {
        events: Vec::new(),
        position: start(tx, after)?,
        more: true,
    };
    // What is numbered while this reads is for the next page.
    let head = outbox::head(tx)?;
    for _ in 0..MOST / BATCH {
        let batch = outbox::read_after(tx, filter.part(), page.position, BATCH)?;
        let is_last = batch.len() < BATCH;
        for event in batch {
            if page.events.len() == limit {
                return Ok(page);
            }
            page.position = event.position;
            if filter.wants(&event) {
                page.events.push(event);
            }
        }
        if is_last {
            page.position = page.position.max(head);
            page.more = false;
            return Ok(page);
        }
    }
    Ok(page)
}

fn backward(tx: &ReadTransaction<'_>, filter: &EventFilter, limit: usize) -> Result<EventPage> {
    let head = outbox::head(tx)?;
    let (mut events, mut before) = (Vec::new(), head + 1);
    'read: for _ in 0..MOST / BATCH {
        let batch = outbox::read_before(tx, filter.part(), before, BATCH)?;
        let is_last = batch.len() < BATCH;
        for event in batch {
            if events.len() == limit {
                break 'read;
            }
            before = event.position;
            if filter.wants(&event) {
                events.push(event);
            }
        }
        if is_last {
            break;
        }
    }
    events.reverse();
    Ok(EventPage {
        events,
        position: head,
        more: false,
    })
}
