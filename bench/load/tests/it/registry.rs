//! As much of a registry as the load asks for, with faults by wish.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use landfall_load::content::digest;

/// What is wrong with the registry.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    /// A moved tag is answered as it was before its last move.
    pub(crate) old_tags: bool,
    /// Every so many reads, one takes so long.
    pub(crate) stall: Option<(u64, Duration)>,
    /// Manifests are answered with a digest that is not theirs.
    pub(crate) wrong_digests: bool,
    /// So many pushed manifests are refused, since a blob has gone.
    pub(crate) lost_blobs: u64,
}

/// A registry on a thread for each connection.
pub(crate) struct Registry {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    faults: Faults,
    reads: AtomicU64,
    refused: AtomicU64,
    /// All contents of each reference, oldest first, by path.
    manifests: Mutex<HashMap<String, Vec<Vec<u8>>>>,
    blobs: Mutex<HashMap<String, Vec<u8>>>,
}

impl Registry {
    pub(crate) fn start(faults: Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let state = Arc::new(State {
            faults,
            ..State::default()
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                let state = Arc::clone(&shared);
                // A client that goes away ends its thread.
                thread::spawn(move || serve(&stream, &state));
            }
        });
        Self { address, state }
    }

    /// How many blobs it has.
    pub(crate) fn blobs(&self) -> usize {
        self.state.blobs.lock().expect("no poison").len()
    }
}

fn serve(stream: &TcpStream, state: &State) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let mut first = String::new();
        reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            if line.trim().is_empty() {
                break;
            }
            let (name, value) = line.split_once(':')?;
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let mut words = first.split(' ');
        let answer = state.answer(words.next()?, words.next()?, body);
        writer.write_all(&answer).ok()?;
    }
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

impl State {
    fn answer(&self, method: &str, path: &str, body: Vec<u8>) -> Vec<u8> {
        match method {
            "POST" => answer("202 Accepted", &format!("Location: {path}1\r\n"), b""),
            "PUT" if path.contains("/manifests/") => self.put(path, body),
            "PUT" => {
                let mut blobs = self.blobs.lock().expect("no poison");
                blobs.insert(digest(&body), body);
                answer("201 Created", "", b"")
            }
            "HEAD" => {
                let name = path.rsplit('/').next().unwrap_or_default();
                if self.blobs.lock().expect("no poison").contains_key(name) {
                    answer("200 OK", "", b"")
                } else {
                    answer("404 Not Found", "", b"")
                }
            }
            _ => self.get(path),
        }
    }

    fn put(&self, path: &str, body: Vec<u8>) -> Vec<u8> {
        if self.refused.fetch_add(1, Ordering::SeqCst) < self.faults.lost_blobs {
            self.blobs.lock().expect("no poison").clear();
            return answer("404 Not Found", "", b"MANIFEST_BLOB_UNKNOWN");
        }
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let by_digest = format!("{folder}/{}", digest(&body));
        let mut manifests = self.manifests.lock().expect("no poison");
        manifests.insert(by_digest, vec![body.clone()]);
        manifests.entry(path.to_owned()).or_default().push(body);
        answer("201 Created", "", b"")
    }

    fn get(&self, path: &str) -> Vec<u8> {
        let read = self.reads.fetch_add(1, Ordering::SeqCst);
        if let Some((every, duration)) = self.faults.stall
            && read % every == every - 1
        {
            thread::sleep(duration);
        }
        let manifests = self.manifests.lock().expect("no poison");
        let Some(contents) = manifests.get(path) else {
            return answer("404 Not Found", "", b"");
        };
        let last = contents.len() - 1;
        let content = &contents[if self.faults.old_tags {
            last.saturating_sub(1)
        } else {
            last
        }];
        let told = if self.faults.wrong_digests {
            digest(b"another")
        } else {
            digest(content)
        };
        answer(
            "200 OK",
            &format!("Docker-Content-Digest: {told}\r\n"),
            content,
        )
    }
}
