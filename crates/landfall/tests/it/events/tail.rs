//! `landfall event tail`, through cuts and the server's death.

use std::{
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::Value;

use super::{World, proxy::Proxy, until};
use crate::server::PASSWORD;

/// Events of the push, with ten more tags, and with twenty.
const ONE: usize = 3;
const TWO: usize = 23;
const ALL: usize = 43;

/// A command that runs until this is dropped, and the lines that it has
/// printed.
struct Tail {
    child: std::process::Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Tail {
    fn start(url: &str, words: &[&str]) -> Self {
        use std::io::BufRead;
        let mut child = Command::new(env!("CARGO_BIN_EXE_landfall"))
            .args(["event", "tail"])
            .args(words)
            .env("LANDFALL_SERVER", url)
            .env("LANDFALL_PASSWORD", PASSWORD)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let output = std::io::BufReader::new(child.stdout.take().expect("piped"));
        let printed = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                printed.lock().expect("no panic").push(line);
            }
        });
        Self { child, lines }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no panic").clone()
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_comes_back_after_cuts_and_the_death_of_the_server() {
    let mut world = World::start();
    let proxy = Proxy::to(world.server.host()).await;
    let tail = Tail::start(&proxy.url, &["--from", "0", "--output", "json"]);
    let count = async |count: usize| tail.lines().len() >= count;
    let image = world.push("v1").await;
    until("the push is printed", || count(ONE)).await;
    proxy.cut();
    world.tag(&image, 0..10).await;
    until("it is back", || count(TWO)).await;

    world.kill_and_start();
    proxy.cut();
    world.tag(&image, 10..20).await;
    proxy.turn_to(world.server.host());
    until("it has found the new server", || count(ALL)).await;
    let positions: Vec<u64> = tail
        .lines()
        .iter()
        .map(|line| {
            let event: Value = serde_json::from_str(line).expect("a line of JSON");
            event["position"].as_u64().expect("a position")
        })
        .collect();
    assert_eq!(positions, (1..=ALL as u64).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_prints_lines_for_people() {
    let world = World::start();
    let filter = ["--kind", "tag.*", "--repository", "admin/*", "--from", "0"];
    let tail = Tail::start(&world.server.url, &filter);
    world.push("v1").await;
    until("the tag is printed", async || !tail.lines().is_empty()).await;
    let line = tail.lines().remove(0);
    assert!(
        line.contains("  tag.created         admin/web  v1 sha256:"),
        "{line}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_it_says_so_and_ends() {
    let output = Command::new(env!("CARGO_BIN_EXE_landfall"))
        .args(["event", "tail", "--server", "http://127.0.0.1:1"])
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("no server answers at"), "{told}");
}
