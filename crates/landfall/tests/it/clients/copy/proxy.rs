//! A proxy of TCP that counts what passes, and stops when it is told to.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// How long anything here may take.
const LIMIT: Duration = Duration::from_mins(2);

/// Bytes in one direction.
#[derive(Default)]
struct Gate {
    passed: Mutex<u64>,
    /// After so many bytes nothing passes any more.
    most: AtomicU64,
    moved: Condvar,
}

impl Gate {
    fn open() -> Self {
        let gate = Self::default();
        gate.most.store(u64::MAX, Ordering::SeqCst);
        gate
    }

    /// Waits until a piece may pass.
    fn take(&self, bytes: u64) {
        let mut passed = self.passed.lock().expect("no thread panics with it");
        *passed += bytes;
        self.moved.notify_all();
        while *passed > self.most.load(Ordering::SeqCst) {
            passed = self.moved.wait(passed).expect("no thread panics with it");
        }
    }

    fn passed(&self) -> u64 {
        *self.passed.lock().expect("no thread panics with it")
    }

    fn wait_for(&self, bytes: u64) {
        let passed = self.passed.lock().expect("no thread panics with it");
        let (passed, waited) = self
            .moved
            .wait_timeout_while(passed, LIMIT, |passed| *passed < bytes)
            .expect("no thread panics with it");
        assert!(
            !waited.timed_out(),
            "only {} of {bytes} bytes passed",
            *passed
        );
    }

    fn set(&self, most: u64) {
        self.most.store(most, Ordering::SeqCst);
        self.moved.notify_all();
    }
}

/// A proxy in front of a server.
pub(super) struct Proxy {
    /// Where it listens.
    pub(super) host: String,
    up: Arc<Gate>,
    down: Arc<Gate>,
}

impl Proxy {
    pub(super) fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let host = listener.local_addr().expect("its address").to_string();
        let (up, down) = (Arc::new(Gate::open()), Arc::new(Gate::open()));
        let (target, gates) = (target.to_owned(), (Arc::clone(&up), Arc::clone(&down)));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&target) else {
                    return;
                };
                let (up, down) = (Arc::clone(&gates.0), Arc::clone(&gates.1));
                pump(&client, &server, up);
                pump(&server, &client, down);
            }
        });
        Self { host, up, down }
    }

    /// Lets so many more bytes pass from the server to the client.
    pub(super) fn stop_downloads_after(&self, bytes: u64) {
        self.down.set(self.down.passed() + bytes);
    }

    /// Lets so many more bytes pass from the client to the server.
    pub(super) fn stop_uploads_after(&self, bytes: u64) {
        self.up.set(self.up.passed() + bytes);
    }

    /// Waits until the stop is reached.
    pub(super) fn wait_for_stop(&self) {
        for gate in [&self.up, &self.down] {
            let most = gate.most.load(Ordering::SeqCst);
            if most != u64::MAX {
                gate.wait_for(most);
            }
        }
    }

    /// Lets everything pass.
    pub(super) fn release(&self) {
        self.up.set(u64::MAX);
        self.down.set(u64::MAX);
    }

    /// How many bytes passed so far: to the server, and from it.
    pub(super) fn passed(&self) -> (u64, u64) {
        (self.up.passed(), self.down.passed())
    }
}

fn pump(from: &TcpStream, to: &TcpStream, gate: Arc<Gate>) {
    let mut from = from.try_clone().expect("a socket");
    let mut to = to.try_clone().expect("a socket");
    thread::spawn(move || {
        let mut buffer = vec![0; 32 << 10];
        while let Ok(read) = from.read(&mut buffer) {
            if read == 0 {
                break;
            }
            gate.take(read as u64);
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
