//! A PostgreSQL server whose machine goes silent, becomes a standby, changes its
//! mind about who may come in, or sends large rows.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use landfall_database::{Database, Error, PostgresOptions, params};
use landfall_services::postgres::{Cluster, fresh, sql};

use crate::scratch::open;

/// What stands between the client and the server.
#[derive(Default)]
struct Wire {
    /// Connections are taken, and nothing is answered.
    silent: AtomicBool,
    /// Bytes that the server has sent.
    passed: AtomicU64,
    open: Mutex<Vec<TcpStream>>,
}

impl Wire {
    /// A wire to the database of this URL, and the URL of its other end.
    fn to(url: &str) -> (Arc<Self>, String) {
        let server = url.rsplit_once('/').map_or("", |(server, _)| server);
        let to: u16 = server
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok())
            .expect("a port");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let wire = Arc::new(Self::default());
        let here = Arc::clone(&wire);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                here.keep(&client);
                if here.silent.load(Ordering::Relaxed) {
                    continue;
                }
                let server = TcpStream::connect(("127.0.0.1", to)).expect("the server");
                here.keep(&server);
                let (mut up, mut down) = (server.try_clone(), client.try_clone());
                let there = Arc::clone(&here);
                std::thread::spawn(move || {
                    let up = up.as_mut().expect("cloned");
                    let _ = std::io::copy(&mut &client, up);
                    let _ = up.shutdown(Shutdown::Both);
                });
                std::thread::spawn(move || {
                    let mut server = server;
                    let down = down.as_mut().expect("cloned");
                    let mut buffer = vec![0; 65536];
                    while let Ok(count @ 1..) = server.read(&mut buffer) {
                        let count64 = count as u64;
                        there.passed.fetch_add(count64, Ordering::Relaxed);
                        if down.write_all(&buffer[..count]).is_err() {
                            break;
                        }
                    }
                    let _ = down.shutdown(Shutdown::Both);
                });
            }
        });
        let url = url.replace(&format!(":{to}/"), &format!(":{port}/"));
        (wire, format!("{url}?sslmode=disable&connect_timeout=1"))
    }

    fn keep(&self, stream: &TcpStream) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.push(stream.try_clone().expect("cloned"));
    }

    /// Ends what is open, and answers nobody from now on.
    fn go_silent(&self) {
        self.silent.store(true, Ordering::Relaxed);
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for stream in &*open {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

async fn insert(database: &Database, id: i64) -> Result<u64, Error> {
    database
        .write(move |tx| tx.execute("insert into kept values (?1)", params![id]))
        .await
}

async fn table(database: &Database) {
    let made: Result<(), Error> = database
        .write(|tx| tx.execute_script("create table kept(id BIGINT primary key)"))
        .await;
    made.expect("a table");
}

/// Ends every other connection to the database.
fn end_all(url: &str, name: &str) {
    sql(
        url,
        &format!(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity
             where datname = '{name}' and pid <> pg_backend_pid()"
        ),
    );
}

#[tokio::test]
async fn nobody_waits_for_more_than_one_connection_to_a_silent_server() {
    let (wire, url) = Wire::to(&fresh());
    let options = PostgresOptions {
        connections: 1,
        ..PostgresOptions::new(url)
    };
    let database = Database::open_postgres(&options).await.expect("open");
    table(&database).await;
    wire.go_silent();
    let start = Instant::now();
    let writes = join_all((0..20).map(|id| insert(&database, id)));
    let look = "select id from kept where id = ?1";
    let rows =
        join_all((0..2000i64).map(|id| database.row(look, params![id], |row| row.get::<i64>(0))));
    let (writes, rows) = tokio::join!(writes, rows);
    for error in writes.into_iter().map(|write| write.expect_err("away")) {
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    }
    for error in rows.into_iter().map(|row| row.expect_err("away")) {
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    }
    // Each of the connections takes a second.
    let took = start.elapsed();
    assert!(took < Duration::from_secs(3), "errors took {took:?}");
}

#[tokio::test]
async fn work_whose_caller_has_gone_away_does_not_begin() {
    let options = PostgresOptions {
        connections: 1,
        ..PostgresOptions::new(fresh().to_string())
    };
    let database = Database::open_postgres(&options).await.expect("open");
    table(&database).await;
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let ended = Mutex::new(ended);
    let busy = database.clone();
    let (began, begins) = tokio::sync::oneshot::channel();
    let began = Mutex::new(Some(began));
    let busy = tokio::spawn(async move {
        let work = busy.write(move |tx| {
            if let Some(began) = began.lock().expect("a lock").take() {
                let _ = began.send(());
            }
            // Until the test drops the other end.
            let _ = ended.lock().expect("a lock").recv();
            tx.number("select 1", params![])
        });
        work.await
    });
    begins.await.expect("it began");
    let gone = tokio::time::timeout(Duration::from_millis(50), insert(&database, 1));
    gone.await.expect_err("the thread is busy");
    drop(end);
    let done: Result<u64, Error> = busy.await.expect("no panic");
    assert_eq!(done.expect("done"), 1);
    assert_eq!(insert(&database, 2).await.expect("insert"), 1);
    let count: Result<u64, Error> = database
        .read(|tx| tx.number("select count(*) from kept", params![]))
        .await;
    assert_eq!(count.expect("a count"), 1);
}

#[tokio::test]
async fn of_large_rows_no_more_are_fetched_than_are_looked_at() {
    let (wire, url) = Wire::to(&fresh());
    let database = open(&url).await;
    let filled: Result<u64, Error> = database
        .write(|tx| {
            tx.execute_script(
                "create table large(id BIGINT, content TEXT);
                 insert into large select n, repeat('x', 1000000) from generate_series(1, 50) n",
            )?;
            tx.number("select count(*) from large", params![])
        })
        .await;
    assert_eq!(filled.expect("filled"), 50);
    let before = wire.passed.load(Ordering::Relaxed);
    let found: Result<Vec<u64>, Error> = database
        .read(|tx| {
            let sql = "select id, content from large order by id";
            tx.all_while(sql, params![], |row| {
                let id = row.get::<u64>(0)?;
                Ok((id, id < 3))
            })
        })
        .await;
    assert_eq!(found.expect("rows"), [1, 2, 3]);
    let passed = wire.passed.load(Ordering::Relaxed) - before;
    assert!(passed < 5_000_000, "{passed} bytes were sent");
}

#[tokio::test]
async fn a_server_that_became_a_standby_is_away_until_it_leads_again() {
    let cluster = Cluster::start();
    let url = cluster.fresh();
    let database = open(&url).await;
    table(&database).await;
    assert_eq!(insert(&database, 1).await.expect("insert"), 1);
    let data = cluster.directory().join("data");
    let owner = std::os::unix::fs::MetadataExt::uid(&data.metadata().expect("metadata"));
    let signal = data.join("standby.signal");
    std::fs::write(&signal, "").expect("written");
    std::os::unix::fs::chown(&signal, Some(owner), None).expect("owned");
    cluster.stop();
    cluster.resume();
    for id in 2..5 {
        let error = insert(&database, id).await.expect_err("a standby");
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    }
    // What asks whether the server is ready only reads in its transaction.
    let probe: Result<u64, Error> = database.write(|tx| tx.number("select 1", params![])).await;
    assert!(matches!(probe, Err(Error::Unavailable(_))), "{probe:?}");
    let opened = Database::open_postgres(&PostgresOptions::new(url.to_string())).await;
    let error = opened.expect_err("a standby");
    assert!(error.to_string().contains("standby"), "{error}");
    assert_eq!(sql(&url, "select pg_promote()"), "t");
    assert_eq!(insert(&database, 5).await.expect("it leads"), 1);
}

#[tokio::test]
async fn a_database_that_is_renamed_for_a_while_is_away() {
    let url = fresh();
    let database = open(&url).await;
    table(&database).await;
    let beside = fresh();
    let name = url.rsplit_once('/').expect("a path").1;
    end_all(&beside, name);
    sql(
        &beside,
        &format!("alter database {name} rename to {name}_x"),
    );
    let error = insert(&database, 1).await.expect_err("it is gone");
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    assert!(
        error.to_string().contains("there is no database"),
        "{error}"
    );
    sql(
        &beside,
        &format!("alter database {name}_x rename to {name}"),
    );
    assert_eq!(insert(&database, 1).await.expect("it is back"), 1);
}

#[tokio::test]
async fn commits_stay_durable_where_the_setting_is_switched_off_later() {
    let url = fresh();
    let database = open(&url).await;
    table(&database).await;
    let name = url.rsplit_once('/').expect("a path").1;
    sql(
        &url,
        &format!("alter database {name} set synchronous_commit = off"),
    );
    end_all(&url, name);
    let set: Result<Option<String>, Error> = database
        .write(|tx| {
            tx.execute("insert into kept values (1)", params![])?;
            let sql = "select current_setting('synchronous_commit')";
            tx.first(sql, params![], |row| row.get(0))
        })
        .await;
    assert_eq!(set.expect("a new connection").as_deref(), Some("on"));
}
