//! A proxy between a client and an HTTP server that misbehaves on demand.
//!
//! It speaks just enough of HTTP/1.1 for that: it reads a request's head, asks
//! what to do with it, and passes it on over a connection of its own. Every
//! connection carries one request.

use std::{
    fmt,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// The head of a request.
#[derive(Debug, Clone)]
pub struct Head {
    /// How many there were before it, since the start of the proxy.
    pub number: u64,
    /// `PUT`
    pub method: String,
    /// The path with the query.
    pub path: String,
}

/// What is done to a request instead of passing it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mischief {
    /// It is answered with this status, and never reaches the server.
    Status(u16),
    /// The connection breaks when the server has had so many bytes of the body.
    CutRequest(usize),
    /// The server does its work, and the connection breaks when the client has
    /// had so many bytes of the answer, head included.
    CutAnswer(usize),
    /// The server does its work, and the client hears nothing for so long.
    Silence(Duration),
    /// The answer comes in pieces of so many bytes, each after a pause of 10 ms.
    Trickle(usize),
}

type Rule = dyn Fn(&Head) -> Option<Mischief> + Send + Sync;

/// The proxy. It ends with its process; its connections break when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: String,
    // Held to look at it, never while a request is passed on.
    rule: Mutex<Option<Arc<Rule>>>,
    requests: AtomicU64,
    mischiefs: AtomicU64,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Proxy {
    /// A proxy to `server`, such as `http://127.0.0.1:7480`.
    pub fn to(server: &str) -> Self {
        let server = server.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            server,
            rule: Mutex::new(None),
            requests: AtomicU64::new(0),
            mischiefs: AtomicU64::new(0),
        });
        let acceptor = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&acceptor);
                // Both sides may break off at any time; nobody wants to know.
                thread::spawn(move || drop(shared.serve(client)));
            }
        });
        Self { address, shared }
    }

    /// Where the proxy listens: `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on, what `rule` says is done to each request.
    pub fn misbehave(&self, rule: impl Fn(&Head) -> Option<Mischief> + Send + Sync + 'static) {
        *self.shared.lock() = Some(Arc::new(rule));
    }

    /// From now on, every request is passed on.
    pub fn behave(&self) {
        *self.shared.lock() = None;
    }

    /// How many requests there were.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// How many of them something was done to.
    pub fn mischiefs(&self) -> u64 {
        self.shared.mischiefs.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Rule>>> {
        self.rule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let (head, rest) = read_head(&mut client)?;
        let mut words = head.split(' ');
        let request = Head {
            number: self.requests.fetch_add(1, Ordering::SeqCst),
            method: words.next().unwrap_or_default().to_owned(),
            path: words.next().unwrap_or_default().to_owned(),
        };
        let rule = self.lock().clone();
        let mischief = rule.and_then(|rule| rule(&request));
        if mischief.is_some() {
            self.mischiefs.fetch_add(1, Ordering::SeqCst);
        }
        let length = header(&head, "content-length")
            .and_then(|value| value.parse().ok())
            .unwrap_or(0);
        let mut body = io::Cursor::new(rest).chain(&client).take(length);
        if let Some(Mischief::Status(status)) = mischief {
            io::copy(&mut body, &mut io::sink())?;
            let answer = "<Error><Code>SlowDown</Code></Error>";
            return write!(
                client,
                "HTTP/1.1 {status} Mischief\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{answer}",
                answer.len()
            );
        }
        let mut server = TcpStream::connect(&self.server)?;
        let (first, others) = head.split_once("\r\n").unwrap_or((&head, ""));
        let others: String = others
            .split("\r\n")
            .filter(|line| !line.is_empty() && !line.to_lowercase().starts_with("connection:"))
            .flat_map(|line| [line, "\r\n"])
            .collect();
        write!(server, "{first}\r\n{others}connection: close\r\n\r\n")?;
        if let Some(Mischief::CutRequest(after)) = mischief {
            io::copy(&mut body.take(after as u64), &mut server)?;
            server.shutdown(Shutdown::Both)?;
            return client.shutdown(Shutdown::Both);
        }
        io::copy(&mut body, &mut server)?;
        answer(&mut server, &mut client, mischief)?;
        client.shutdown(Shutdown::Both)
    }
}

/// Passes the answer on.
fn answer(
    server: &mut TcpStream,
    client: &mut TcpStream,
    mischief: Option<Mischief>,
) -> io::Result<()> {
    match mischief {
        Some(Mischief::CutAnswer(after)) => {
            let mut whole = Vec::new();
            server.read_to_end(&mut whole)?;
            whole.truncate(after);
            client.write_all(&whole)
        }
        Some(Mischief::Silence(length)) => {
            io::copy(server, &mut io::sink())?;
            thread::sleep(length);
            Ok(())
        }
        Some(Mischief::Trickle(piece)) => {
            let mut buffer = vec![0; piece];
            loop {
                let count = server.read(&mut buffer)?;
                if count == 0 {
                    return Ok(());
                }
                thread::sleep(Duration::from_millis(10));
                client.write_all(&buffer[..count])?;
            }
        }
        Some(Mischief::Status(_) | Mischief::CutRequest(_)) | None => {
            io::copy(server, client).map(drop)
        }
    }
}

/// The head of a request without its last empty line, and what came with it.
fn read_head(client: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut read = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = read.split_off(end + 4);
            read.truncate(end);
            let head = String::from_utf8(read).map_err(io::Error::other)?;
            return Ok((head, rest));
        }
        let count = client.read(&mut buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        read.extend_from_slice(&buffer[..count]);
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.split("\r\n").skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
