//! What answers and their times tell of another account's content.
//!
//! Two worlds in one: digests of blobs that another account holds, and digests
//! of bytes that nobody has. A client of the first account asks for both, in a
//! random order: does my repository have it (`HEAD`), mount it from that other
//! repository, which layers are new. The answers have to be the same, but for
//! the digest that was asked for, and the identity of the upload that a mount
//! becomes; and so have their times, as far as a t-test can tell.

use std::{net::SocketAddr, time::Instant};

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use serde::Serialize;
use serde_json::json;

use super::{Sample, welch};
use crate::{
    Error, Result,
    content::{digest, fresh_seed, noise},
    images::push_blob,
    wire::{self, Answer, Connection},
};

/// Digests of each kind.
const DIGESTS: usize = 200;
/// Bytes of a blob.
const SIZE: usize = 1024;
/// Requests before anything counts.
const WARM_UP: usize = 300;
/// What differs from answer to answer, and tells nothing.
const OWN_HEADERS: [&str; 2] = ["date", "x-request-id"];

/// Who asks, and for what.
#[derive(Debug, Clone)]
pub struct Leak {
    /// The server.
    pub server: SocketAddr,
    /// `Authorization` of who asks.
    pub authorization: Option<String>,
    /// A repository that it may push to.
    pub own: String,
    /// A repository of another account.
    pub other: String,
    /// `Authorization` of who may push there.
    pub other_authorization: Option<String>,
    /// Requests that count.
    pub requests: usize,
}

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LeakReport {
    /// Requests that counted.
    pub requests: usize,
    /// Answers that differed from the first of their kind in status, headers
    /// or body.
    pub different: usize,
    /// Welch's t of the times of `HEAD`.
    pub t_head: f64,
    /// The same of mounts.
    pub t_mount: f64,
    /// The same of checks of layers.
    pub t_check: f64,
    /// The largest of the three, without its sign.
    pub t_most: f64,
    /// The mean time of a `HEAD` for a digest that the other account holds,
    /// in microseconds.
    pub head_held_us: f64,
    /// The same for one that nobody holds.
    pub head_absent_us: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Head,
    Mount,
    Check,
}

const KINDS: [Kind; 3] = [Kind::Head, Kind::Mount, Kind::Check];

/// Makes the requests.
pub fn leak(options: &Leak) -> Result<LeakReport> {
    let run = fresh_seed();
    let blobs = |from: u64| (0..DIGESTS as u64).map(move |n| noise(run ^ (from + n), SIZE));
    let mut owner = Connection::open(options.server, options.other_authorization.clone())?;
    let held = blobs(0).map(|bytes| {
        let digest = digest(&bytes);
        push_blob(&mut owner, &options.other, &bytes, &digest)?;
        Ok(digest)
    });
    let held: Vec<String> = held.collect::<Result<_>>()?;
    let absent: Vec<String> = blobs(1 << 32).map(|bytes| digest(&bytes)).collect();

    let mut asking = Connection::open(options.server, options.authorization.clone())?;
    let mut random = SmallRng::seed_from_u64(run);
    let mut times: [[Sample; 2]; 3] = Default::default();
    let mut first: [Option<String>; 3] = Default::default();
    let mut different = 0;
    for number in 0..WARM_UP + options.requests {
        let kind = KINDS[number % KINDS.len()];
        let is_held: bool = random.random();
        let digests = if is_held { &held } else { &absent };
        let digest = &digests[random.random_range(0..DIGESTS)];
        let (answer, took) = ask(&mut asking, options, kind, digest)?;
        if number < WARM_UP {
            continue;
        }
        times[kind as usize][usize::from(is_held)].record(took);
        let told = without_own(&answer, digest);
        match &first[kind as usize] {
            Some(first) if *first != told => different += 1,
            Some(_) => {}
            None => first[kind as usize] = Some(told),
        }
    }
    let t = |kind: Kind| welch(&times[kind as usize][1], &times[kind as usize][0]);
    let (t_head, t_mount, t_check) = (t(Kind::Head), t(Kind::Mount), t(Kind::Check));
    let [head_absent, head_held] = &times[Kind::Head as usize];
    Ok(LeakReport {
        requests: options.requests,
        different,
        t_head,
        t_mount,
        t_check,
        t_most: t_head.abs().max(t_mount.abs()).max(t_check.abs()),
        head_held_us: head_held.mean(),
        head_absent_us: head_absent.mean(),
    })
}

/// Asks once; the answer, and how long it took in microseconds.
fn ask(
    connection: &mut Connection,
    options: &Leak,
    kind: Kind,
    digest: &str,
) -> Result<(Answer, f64)> {
    let Leak { own, other, .. } = options;
    let (method, path, body) = match kind {
        Kind::Head => ("HEAD", format!("/v2/{own}/blobs/{digest}"), String::new()),
        Kind::Mount => (
            "POST",
            format!("/v2/{own}/blobs/uploads/?mount={digest}&from={other}"),
            String::new(),
        ),
        Kind::Check => (
            "POST",
            format!(
                "/api/v1/repositories/{}/layers:check",
                own.replace('/', "%2F")
            ),
            json!({ "digests": [digest] }).to_string(),
        ),
    };
    let media_type = (kind == Kind::Check).then_some("application/json");
    let began = Instant::now();
    let answer = connection.ask(method, &path, media_type, body.as_bytes())?;
    let took = began.elapsed().as_secs_f64() * 1e6;
    let expected = match kind {
        Kind::Head => 404,
        Kind::Mount => 202,
        Kind::Check => 200,
    };
    if answer.status != expected {
        return Err(wire::refused(method, &path, &answer));
    }
    if kind == Kind::Mount {
        let Some(location) = answer.header("location") else {
            return Err(Error::Wrong {
                request: format!("POST {path}"),
                why: "it has no `Location`".to_owned(),
            });
        };
        let location = wire::path_of(location).to_owned();
        connection.expect(("DELETE", &location), None, b"", &[204])?;
    }
    Ok((answer, took))
}

/// An answer as text, without the digest that was asked for and without what is
/// new in each.
fn without_own(answer: &Answer, digest: &str) -> String {
    let head = String::from_utf8_lossy(&answer.head);
    let lines = head.lines().filter(|line| {
        let name = line.split(':').next().unwrap_or_default();
        !OWN_HEADERS.iter().any(|own| name.eq_ignore_ascii_case(own))
    });
    let body = String::from_utf8_lossy(&answer.body);
    let text = lines.chain(["", &*body]).collect::<Vec<_>>().join("\n");
    without_ids(&text.replace(digest, "DIGEST"))
}

/// The text with each UUID replaced.
fn without_ids(text: &str) -> String {
    const LENGTH: usize = 36;
    let is_id = |part: &[u8]| {
        part.iter().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
    };
    let bytes = text.as_bytes();
    let mut kept = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes.get(at..at + LENGTH) {
            Some(part) if is_id(part) => {
                kept.extend_from_slice(b"ID");
                at += LENGTH;
            }
            _ => {
                kept.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(head: &str, body: &str) -> Answer {
        Answer {
            status: 202,
            head: head.as_bytes().to_vec(),
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn only_what_tells_nothing_is_left_out_of_the_comparison() {
        let one = answer(
            "HTTP/1.1 202 Accepted\r\nDate: now\r\nx-request-id: 1\r\n\
             location: /u/01993c4e-0000-7000-8000-000000000001\r\n\r\n",
            "sha256:aa",
        );
        let other = answer(
            "HTTP/1.1 202 Accepted\r\nDate: then\r\nX-Request-Id: 2\r\n\
             location: /u/01993c4e-0000-7000-8000-000000000002\r\n\r\n",
            "sha256:bb",
        );
        let told = without_own(&one, "sha256:aa");
        assert_eq!(told, without_own(&other, "sha256:bb"));
        assert!(told.contains("202"), "{told}");
        let more = answer("HTTP/1.1 202 Accepted\r\nage: 1\r\n\r\n", "sha256:aa");
        assert_ne!(told, without_own(&more, "sha256:aa"));
    }
}
