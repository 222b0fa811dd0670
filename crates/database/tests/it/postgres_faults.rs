//! A PostgreSQL server that goes away, comes back, and ends connections.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use landfall_database::{Database, Error, params};
use landfall_services::postgres::{Cluster, PostgresUrl, fresh, sql};

use crate::scratch::open;

async fn table(database: &Database) {
    let made: Result<(), Error> = database
        .write(|tx| tx.execute_script("create table kept(id BIGINT primary key)"))
        .await;
    made.expect("a table");
}

async fn insert(database: &Database, id: i64) -> Result<u64, Error> {
    database
        .write(move |tx| tx.execute("insert into kept values (?1)", params![id]))
        .await
}

async fn is_kept(database: &Database, id: i64) -> Result<bool, Error> {
    let row = database.row("select 1 from kept where id = ?1", params![id], |row| {
        row.get::<u64>(0)
    });
    row.await.map(|row| row.is_some())
}

/// The number of this connection's process on the server.
fn process(tx: &landfall_database::WriteTransaction<'_>) -> Result<u64, Error> {
    tx.number("select pg_backend_pid()", params![])
}

fn terminate(url: &PostgresUrl, process: u64) {
    sql(
        url,
        &format!("select pg_terminate_backend({process}, 5000)"),
    );
}

#[tokio::test]
async fn work_whose_connection_is_ended_runs_again() {
    let url = fresh();
    let database = open(&url).await;
    table(&database).await;
    let runs = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&runs);
    let killer = url.clone();
    let written = database.write(move |tx| {
        tx.execute("insert into kept values (1)", params![])?;
        if seen.fetch_add(1, Ordering::Relaxed) == 0 {
            terminate(&killer, process(tx)?);
        }
        tx.execute("insert into kept values (2)", params![])
    });
    assert_eq!(written.await.expect("the second run is kept"), 1);
    assert_eq!(runs.load(Ordering::Relaxed), 2);
    assert_eq!(sql(&url, "select count(*) from kept"), "2");
}

#[tokio::test]
async fn work_whose_connections_are_always_ended_fails_and_changes_nothing() {
    let url = fresh();
    let database = open(&url).await;
    table(&database).await;
    let killer = url.clone();
    let written = database.write(move |tx| {
        tx.execute("insert into kept values (1)", params![])?;
        terminate(&killer, process(tx)?);
        tx.execute("insert into kept values (2)", params![])
    });
    let error = written.await.expect_err("no run survives");
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    assert!(error.is_transient());
    assert_eq!(sql(&url, "select count(*) from kept"), "0");
    assert_eq!(insert(&database, 1).await.expect("a new connection"), 1);
}

#[tokio::test]
async fn idle_connections_that_were_ended_cost_nobody_an_error() {
    let url = fresh();
    let database = open(&url).await;
    table(&database).await;
    for id in 0..10 {
        insert(&database, id).await.expect("insert");
        assert!(is_kept(&database, id).await.expect("a look-up"));
        let read: Result<_, Error> = database
            .read(|tx| tx.number("select count(*) from kept", params![]))
            .await;
        assert_eq!(read.expect("a read"), id as u64 + 1);
        sql(
            &url,
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()",
        );
    }
}

#[tokio::test]
async fn a_database_that_goes_and_comes_back_works_again_by_itself() {
    let cluster = Cluster::start();
    let url = cluster.fresh();
    let database = open(&url).await;
    table(&database).await;
    insert(&database, 1).await.expect("insert");
    for (round, crash) in [(2, false), (3, true)] {
        if crash {
            cluster.crash();
        } else {
            cluster.stop();
        }
        let start = Instant::now();
        for _ in 0..20 {
            let write = insert(&database, round).await.expect_err("it is away");
            assert!(matches!(write, Error::Unavailable(_)), "{write:?}");
            let look = is_kept(&database, 1).await.expect_err("it is away");
            assert!(matches!(look, Error::Unavailable(_)), "{look:?}");
            let read: Result<u64, Error> = database
                .read_long(|tx| tx.number("select count(*) from kept", params![]))
                .await;
            assert!(matches!(read, Err(Error::Unavailable(_))), "{read:?}");
        }
        let took = start.elapsed();
        assert!(took < Duration::from_secs(5), "errors took {took:?}");
        cluster.resume();
        assert_eq!(insert(&database, round).await.expect("it is back"), 1);
        assert!(is_kept(&database, 1).await.expect("it is back"));
    }
}

#[tokio::test]
async fn writers_through_restarts_lose_nothing_that_was_answered() {
    let cluster = Arc::new(Cluster::start());
    let database = open(&cluster.fresh()).await;
    table(&database).await;
    let over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..8i64)
        .map(|writer| {
            let (database, over) = (database.clone(), Arc::clone(&over));
            tokio::spawn(async move {
                let (mut kept, mut id) = (Vec::new(), writer * 1_000_000);
                while !over.load(Ordering::Relaxed) {
                    id += 1;
                    match insert(&database, id).await {
                        Ok(_) => kept.push(id),
                        Err(Error::Unavailable(_) | Error::Unknown) => {
                            tokio::task::yield_now().await;
                        }
                        Err(error) => panic!("{error:?}"),
                    }
                }
                kept
            })
        })
        .collect();
    let restarted = Arc::clone(&cluster);
    let restarts = tokio::task::spawn_blocking(move || {
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(150));
            restarted.stop();
            restarted.resume();
        }
        std::thread::sleep(Duration::from_millis(150));
    });
    restarts.await.expect("restarts");
    over.store(true, Ordering::Relaxed);
    let mut answered = 0;
    for writer in writers {
        for id in writer.await.expect("a writer") {
            assert!(
                is_kept(&database, id).await.expect("a look-up"),
                "{id} is lost"
            );
            answered += 1;
        }
    }
    assert!(answered > 100, "only {answered} writes were answered");
}

/// Passes connections on, and cuts the one whose client commits: before the
/// commit gets to the server, or after the server has made it.
fn cutting_proxy(to: u16, after: bool, armed: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            let mut server = TcpStream::connect(("127.0.0.1", to)).expect("the server");
            let mut answers = server.try_clone().expect("cloned");
            let mut to_client = client.try_clone().expect("cloned");
            let cut = Arc::new(AtomicBool::new(false));
            let is_cut = Arc::clone(&cut);
            let back = std::thread::spawn(move || {
                let mut buffer = vec![0; 65536];
                while let Ok(count @ 1..) = answers.read(&mut buffer) {
                    if is_cut.load(Ordering::Relaxed) {
                        // The commit was made, and nobody hears of it.
                        let _ = to_client.shutdown(Shutdown::Both);
                        return;
                    }
                    if to_client.write_all(&buffer[..count]).is_err() {
                        return;
                    }
                }
                let _ = to_client.shutdown(Shutdown::Both);
            });
            let armed = Arc::clone(&armed);
            std::thread::spawn(move || {
                let mut buffer = vec![0; 65536];
                while let Ok(count @ 1..) = client.read(&mut buffer) {
                    let commits = buffer[..count].windows(7).any(|part| part == b"commit\0");
                    if commits && armed.swap(false, Ordering::Relaxed) {
                        if !after {
                            let _ = server.shutdown(Shutdown::Both);
                            let _ = client.shutdown(Shutdown::Both);
                            return;
                        }
                        cut.store(true, Ordering::Relaxed);
                    }
                    if server.write_all(&buffer[..count]).is_err() {
                        return;
                    }
                }
                let _ = server.shutdown(Shutdown::Both);
                let _ = back.join();
            });
        }
    });
    port
}

#[tokio::test]
async fn a_commit_whose_outcome_is_unknown_is_told_as_such_and_never_repeated() {
    for after in [false, true] {
        let direct = fresh();
        let armed = Arc::new(AtomicBool::new(false));
        let port: u16 = direct
            .rsplit_once('/')
            .and_then(|(server, _)| server.rsplit_once(':'))
            .and_then(|(_, port)| port.parse().ok())
            .expect("a port");
        let proxy = cutting_proxy(port, after, Arc::clone(&armed));
        let url = direct.replace(&format!(":{port}/"), &format!(":{proxy}/"));
        let database = open(&format!("{url}?sslmode=disable")).await;
        table(&database).await;
        let runs = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&runs);
        armed.store(true, Ordering::Relaxed);
        let written = database.write(move |tx| {
            seen.fetch_add(1, Ordering::Relaxed);
            tx.execute("insert into kept values (1)", params![])
        });
        let error = written.await.expect_err("the answer was lost");
        assert!(matches!(error, Error::Unknown), "{error:?}");
        assert_eq!(runs.load(Ordering::Relaxed), 1);
        let kept = if after { "1" } else { "0" };
        assert_eq!(sql(&direct, "select count(*) from kept"), kept);
        assert_eq!(insert(&database, 2).await.expect("a new connection"), 1);
    }
}
