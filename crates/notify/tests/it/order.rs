//! The order of the log: commits in any order, sequencers that crash anywhere.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use landfall_clock::Clock;
use landfall_database::{
    Database, Error, Kind,
    outbox::{self, Event, NewEvent, Part},
    params,
};
use landfall_house::Rounds;
use landfall_ids::AccountId;

use crate::world::{Running, World, on_both, until};

const WRITERS: u64 = 8;
const SUBJECTS: u64 = 5;
const TRANSACTIONS: u64 = 30;

/// Numbers that look random, and are the same for the same seed.
#[derive(Clone, Copy)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Transactions that each take the next number of a subject, and write it into
/// an event. Some are undone, some stay open for a while before they commit.
async fn write(
    database: Database,
    account: AccountId,
    now: landfall_clock::Timestamp,
    seed: u64,
    committed: Arc<AtomicU64>,
) {
    let mut dice = Dice(seed);
    for _ in 0..TRANSACTIONS {
        let subject = format!("acme/{}", dice.roll(SUBJECTS));
        let events = 1 + dice.roll(3);
        let gives_up = dice.roll(5) == 0;
        let lingers = Duration::from_millis(dice.roll(8));
        let written = database.write(move |tx| {
            for _ in 0..events {
                let number = tx.first(
                    "update counter set value = value + 1 where subject = ?1 returning value",
                    params![subject],
                    |row| row.get::<u64>(0),
                )?;
                outbox::append(
                    tx,
                    &NewEvent {
                        kind: "tag.moved",
                        account,
                        subject: subject.clone(),
                        actor: None,
                        data: &number.unwrap_or_default().to_string(),
                        now,
                    },
                )?;
            }
            // Whoever else has begun meanwhile may commit before this does.
            std::thread::sleep(lingers);
            if gives_up { Err(Error::Unique) } else { Ok(()) }
        });
        match written.await {
            Ok(()) => {
                committed.fetch_add(events, Ordering::SeqCst);
            }
            Err(Error::Unique) if gives_up => {}
            Err(error) => panic!("a write failed: {error}"),
        }
    }
}

/// What a reader has seen so far, and what must hold of it.
#[derive(Default)]
struct Seen {
    position: u64,
    numbers: HashMap<String, u64>,
}

impl Seen {
    fn take(&mut self, event: &Event) {
        let position = event.position;
        assert_eq!(position, self.position + 1, "a gap or a repetition");
        self.position = position;
        let number: u64 = event.data.parse().expect("a number");
        let last = self.numbers.entry(event.subject.clone()).or_default();
        assert_eq!(number, *last + 1, "{} at {position}", event.subject);
        *last = number;
    }
}

/// Reads the table as a consumer with a cursor of its own does.
async fn consume(database: Database, done: Arc<AtomicBool>) -> Seen {
    let mut reader = Seen::default();
    loop {
        let is_last = done.load(Ordering::SeqCst);
        let after = reader.position;
        let events = database
            .read(move |tx| outbox::read_after(tx, Part::Everything, after, 7))
            .await
            .expect("events");
        if events.is_empty() && is_last {
            return reader;
        }
        for event in &events {
            reader.take(event);
        }
        tokio::task::yield_now().await;
    }
}

/// Starts sequencers and ends them in the middle of their work.
async fn crash(world: &World, seed: u64, done: &AtomicBool) {
    let mut dice = Dice(seed);
    let mut servers: Vec<Running> = (0..3).map(|_| world.start()).collect();
    while !done.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(20 + dice.roll(150))).await;
        let index = dice.roll(servers.len() as u64) as usize;
        servers.swap_remove(index).crash().await;
        servers.push(world.start());
    }
    // The last ones come to the end.
    until("all is numbered", || async {
        let pending = world.database.read(outbox::is_pending).await;
        !pending.expect("a look")
    })
    .await;
    for server in servers {
        server.stop().await;
    }
}

async fn round(kind: Kind, seed: u64) {
    let mut world = World::on(kind).await;
    world.settings.lease = Duration::from_millis(300);
    world
        .database
        .write(|tx| {
            tx.execute_script(
                "create table counter(subject TEXT primary key, value BIGINT not null)",
            )?;
            for subject in 0..SUBJECTS {
                tx.execute(
                    "insert into counter(subject, value) values (?1, 0)",
                    params![format!("acme/{subject}")],
                )?;
            }
            Ok::<_, Error>(())
        })
        .await
        .expect("counters");

    let (written, done) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let committed = Arc::new(AtomicU64::new(0));
    let observer = world.start();
    let mut tail = observer.tail(Some(0)).await.expect("a tail");
    let following = tokio::spawn(async move {
        let mut reader = Seen::default();
        while let Some(events) = tail.next().await.expect("events") {
            for event in &events {
                reader.take(event);
            }
        }
        reader
    });
    let consumers: Vec<_> = (0..2)
        .map(|_| tokio::spawn(consume(world.database.clone(), Arc::clone(&done))))
        .collect();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            tokio::spawn(write(
                world.database.clone(),
                world.account,
                world.clock.now(),
                (seed + 1) * 1000 + writer + 1,
                Arc::clone(&committed),
            ))
        })
        .collect();
    let writing = async {
        for writer in writers {
            writer.await.expect("a writer");
        }
        written.store(true, Ordering::SeqCst);
    };
    tokio::join!(writing, crash(&world, seed + 77, &written));
    done.store(true, Ordering::SeqCst);

    let committed = committed.load(Ordering::SeqCst);
    assert!(committed > 0);
    let head = world.database.read(outbox::head).await.expect("the head");
    assert_eq!(head, committed, "seed {seed}");
    let mut expected = BTreeMap::new();
    for consumer in consumers {
        let reader = consumer.await.expect("a consumer");
        assert_eq!(reader.position, committed, "a consumer, seed {seed}");
        expected.extend(reader.numbers);
    }
    observer.stop().await;
    let reader = following.await.expect("a tail");
    // The tail may have been stopped before the last events; what it saw was
    // right.
    assert!(reader.position <= committed);
    assert_eq!(expected.values().sum::<u64>(), committed);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_skipped_and_each_subject_is_in_order_on_sqlite() {
    for seed in Rounds::of("events-order") {
        round(Kind::Sqlite, u64::from(seed)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_skipped_and_each_subject_is_in_order_on_postgres() {
    for seed in Rounds::of("events-order-postgres") {
        round(Kind::Postgres, u64::from(seed)).await;
    }
}

async fn a_dead_sequencer_is_replaced_when_its_lease_has_ended(kind: Kind) {
    let world = World::on(kind).await;
    let first = world.start();
    world.tell("tag.moved", "acme/web", "1").await;
    first.crash().await;
    let crashed = std::time::Instant::now();
    let _second = world.start();
    world.tell("tag.moved", "acme/web", "2").await;
    let taken = crashed.elapsed();
    // The lease was renewed within its last third, at the latest.
    assert!(taken > world.settings.lease / 2, "after {taken:?}");
    assert!(taken < world.settings.lease * 3, "after {taken:?}");
}

async fn a_server_that_stops_hands_over_at_once(kind: Kind) {
    let mut world = World::on(kind).await;
    world.settings.lease = Duration::from_secs(20);
    let first = world.start();
    world.tell("tag.moved", "acme/web", "1").await;
    first.stop().await;
    let stopped = std::time::Instant::now();
    let _second = world.start();
    world.tell("tag.moved", "acme/web", "2").await;
    assert!(stopped.elapsed() < Duration::from_secs(5));
}

async fn an_event_that_gives_up_is_never_seen(kind: Kind) {
    let world = World::on(kind).await;
    let server = world.start();
    let (account, now) = (world.account, world.clock.now());
    let refused: Result<(), Error> = world
        .database
        .write(move |tx| {
            let event = NewEvent {
                kind: "tag.moved",
                account,
                subject: "acme/web".to_owned(),
                actor: None,
                data: "{}",
                now,
            };
            outbox::append(tx, &event)?;
            Err(Error::Unique)
        })
        .await;
    assert!(refused.is_err());
    world.tell("tag.deleted", "acme/web", "{}").await;
    let page = server.event_page(landfall_notify::EventFilter::default(), 0, 10);
    let page = page.await.expect("a page");
    let kinds: Vec<_> = page
        .events
        .iter()
        .map(|event| event.kind.as_str())
        .collect();
    assert_eq!(kinds, ["tag.deleted"]);
}

on_both!(
    a_dead_sequencer_is_replaced_when_its_lease_has_ended,
    a_server_that_stops_hands_over_at_once,
    an_event_that_gives_up_is_never_seen,
);
