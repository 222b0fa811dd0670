//! Ten thousand connections that do nothing.

use std::{io::Write, net::TcpStream};

use rustix::process::{Resource, getrlimit, setrlimit};

use super::{Victim, raw::head};
use crate::{server::Options, session::Image};

const CROWD: usize = 10_000;

/// The most memory that the server may hold for them, in KiB: far more than it
/// takes, and far less than a buffer for each would.
const MEMORY: u64 = 400 * 1024;

/// The resident memory of a process, in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("its memory");
    line.trim()
        .trim_end_matches("kB")
        .trim()
        .parse()
        .expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections_take_little_and_disturb_nobody() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("up to the hard limit");
    let most = limit.current.unwrap_or(u64::MAX);
    assert!(
        most >= 12_000,
        "the hard limit of open files is {most}: raise it to 12000"
    );

    // None of them is cut off while the test goes on, however slowly.
    let options = Options::default()
        .set("LANDFALL_SERVER_HEADER_TIMEOUT", "15m")
        .set("LANDFALL_SERVER_IDLE_TIMEOUT", "15m");
    let victim = Victim::start_with(options);
    let image = Image::new(1, 2);
    victim.session.push("acme/web", "v1", &image).await;
    let mut crowd = Vec::with_capacity(CROWD);
    let get = head("GET", "/healthz", &[]);
    for number in 0..CROWD {
        let mut stream = TcpStream::connect(victim.server.host()).expect("one more connection");
        match number % 3 {
            // Says nothing; has said something; is about to say something.
            0 => {}
            1 => stream.write_all(&get).expect("sent"),
            _ => stream.write_all(&get[..10]).expect("sent"),
        }
        crowd.push(stream);
    }
    victim
        .wait_for("landfall_connections", |open| open >= 9900.0)
        .await;
    for number in 0..20 {
        let (tag, image) = (format!("busy-{number}"), Image::new(1, 100 + number));
        victim.session.push("acme/web", &tag, &image).await;
        victim.session.assert_pulls("acme/web", &tag, &image).await;
    }
    let memory = resident(victim.server.pid());
    assert!(memory < MEMORY, "the server holds {memory} KiB");
    drop(crowd);
    victim
        .wait_for("landfall_connections", |open| open < 100.0)
        .await;
    victim.session.assert_pulls("acme/web", "v1", &image).await;
    victim.assert_well().await;
}

/// Above its limit the server closes who is idle, and serves who comes.
#[tokio::test(flavor = "multi_thread")]
async fn more_connections_than_the_limit_do_not_lock_anybody_out() {
    let options = Options::default().set("LANDFALL_SERVER_MAX_CONNECTIONS", "50");
    let victim = Victim::start_with(options);
    let mut crowd = Vec::new();
    for number in 0..300_u64 {
        crowd.push(TcpStream::connect(victim.server.host()).expect("one more connection"));
        if number % 50 == 49 {
            // Each over a connection of its own, in the middle of the crowd.
            let session = crate::session::Session::of(&victim.server);
            let image = Image::new(1, number);
            session
                .push("acme/web", &format!("v{number}"), &image)
                .await;
            session
                .assert_pulls("acme/web", &format!("v{number}"), &image)
                .await;
        }
    }
    assert!(victim.metric("landfall_connections").await <= 51.0);
    drop(crowd);
    victim.assert_well().await;
}
