//! Passwords: argon2id (RFC 9106) off the async threads, and a short memory.
//!
//! Checking a password takes tens of milliseconds and 19 MiB on purpose. A
//! client that sends it with every request would pay that each time, so a
//! check that succeeded is remembered for [`MEMORY`]: under a keyed hash of
//! name, password and stored hash, so neither a changed password nor somebody
//! who reads the memory gets anything from it.

use std::{
    net::IpAddr,
    sync::{Arc, LazyLock},
    time::Duration,
};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use aws_lc_rs::hmac;
use quick_cache::sync::Cache;

use crate::{
    AuditEvent, Caller, Credential, Error, Identity, LocalName, ScopeLimit, Secret, api_key,
    backoff::{Backoff, Pair},
    source::Network,
    store::{self, principals::Standing},
    turns::{self, Turns},
};

/// How long a successful check is remembered.
const MEMORY: Duration = Duration::from_mins(5);
/// Checks that are remembered.
const REMEMBERED: usize = 1024;
/// The longest password that is looked at, in bytes. A token that is sent as a
/// password may be longer.
const LONGEST: usize = 1024;
/// The shortest password that can be chosen, in bytes.
const SHORTEST: usize = 8;

/// What is wrong with most of them. Which of the two is nobody's business.
const WRONG: &str = "unknown name or wrong password";

pub(crate) struct Passwords(Arc<Memory>);

struct Memory {
    key: hmac::Key,
    /// Until when, by the monotonic clock, a check is remembered.
    verified: Cache<[u8; 32], Duration>,
    backoff: Backoff,
    turns: Arc<Turns>,
}

/// A password that was sent, and what it is checked with.
struct Check {
    network: Network,
    pair: Pair,
    fingerprint: [u8; 32],
    password: Secret,
    stored: String,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>());
        Self(Arc::new(Memory {
            key,
            verified: Cache::new(REMEMBERED),
            backoff: Backoff::new(),
            turns: Turns::new(),
        }))
    }

    fn fingerprint(&self, name: &str, password: &str, stored: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0.key);
        for part in [name, password, stored] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(context.sign().as_ref());
        fingerprint
    }

    /// The hash of a password that somebody chooses for themselves. Who comes
    /// from this source waits like those who log in from there.
    pub(crate) async fn hash_new(
        &self,
        password: Secret,
        source: Option<IpAddr>,
    ) -> Result<String, Error> {
        if !(SHORTEST..=LONGEST).contains(&password.reveal().len()) {
            return Err(Error::invalid(format!(
                "a password has {SHORTEST} to {LONGEST} bytes; choose another"
            )));
        }
        if password.reveal().starts_with(api_key::PREFIX) || is_token(password.reveal()) {
            return Err(Error::invalid(
                "this looks like an API key or a token, and would be taken for one; choose another \
                 password",
            ));
        }
        let permit = self.0.turns.take(Network::of(source)).await?;
        under(permit, move || hash_here(password.reveal())).await
    }
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Checked {
    /// It was right a short time ago.
    Remembered,
    Right,
    Wrong,
    /// It was not looked at, for this reason.
    Wait(Duration, &'static str),
}

impl Memory {
    /// What can be said without a hash. Who has to wait is told so also if the
    /// password was right a short time ago: else it could be guessed at that
    /// speed.
    fn known(&self, check: &Check, now: Duration) -> Option<Checked> {
        if let Some(wait) = self.backoff.wait(&check.pair, now) {
            return Some(Checked::Wait(wait, "too many wrong passwords"));
        }
        let until = self.verified.get(&check.fingerprint)?;
        (now < until).then_some(Checked::Remembered)
    }
}

impl Identity {
    /// The caller that this name and password prove. An API key or an
    /// authorization token may stand in the password's place.
    pub async fn caller_by_password(
        &self,
        name: &str,
        password: &Secret,
        source: Option<IpAddr>,
    ) -> Result<Caller, Error> {
        if password.reveal().starts_with(api_key::PREFIX) {
            let name = Some(name).filter(|name| !name.is_empty());
            return self
                .caller_by_api_key(name, password.reveal(), source)
                .await;
        }
        if is_token(password.reveal()) {
            return self
                .caller_by_authorization_token(name, password.reveal(), source)
                .await;
        }
        // Before anything is read: a token never says that it is younger.
        let known_in = self.generation().await?.number;
        let known = name.parse::<LocalName>().ok();
        let found = match &known {
            Some(known) if password.reveal().len() <= LONGEST => {
                store::principals::password_look_up(&self.database, known).await?
            }
            _ => None,
        };
        // As slow as a wrong password: the time must not tell who exists.
        let (standing, stored) = match found {
            Some((standing, stored)) if !stored.is_empty() => (Some(standing), stored),
            _ => (None, NOBODY.clone()),
        };
        // One name, however it is written.
        let name = known.map_or_else(|| name.to_owned(), |known| known.to_string());
        let network = Network::of(source);
        let check = Check {
            network,
            pair: Backoff::pair(network, &name),
            fingerprint: self
                .passwords
                .fingerprint(&name, password.reveal(), &stored),
            password: password.clone(),
            stored,
        };
        let hashed = match self.password_check(check).await? {
            Checked::Wait(retry_after, reason) => {
                self.login_refused(&name, Credential::PASSWORD, source, reason)
                    .await?;
                return Err(Error::TooManyFailures { retry_after });
            }
            Checked::Wrong => return self.password_refused(&name, source, WRONG).await,
            Checked::Remembered => false,
            Checked::Right => true,
        };
        let principal = match standing {
            Some(Standing::Good(principal)) => principal,
            Some(Standing::Disabled) => {
                let reason = "the principal, or its account, is disabled";
                return self.password_refused(&name, source, reason).await;
            }
            Some(Standing::Gone) | None => {
                return self.password_refused(&name, source, WRONG).await;
            }
        };
        let caller = Caller {
            credential: Credential::PASSWORD,
            principal: Some(Arc::new(principal)),
            scope: ScopeLimit::Whole,
            source,
            request_id: None,
            epoch: Some(known_in),
            ends: None,
        };
        if hashed {
            self.audit(logged_in(&caller)).await?;
        }
        Ok(caller)
    }

    async fn password_refused(
        &self,
        name: &str,
        source: Option<IpAddr>,
        reason: &'static str,
    ) -> Result<Caller, Error> {
        self.login_refused(name, Credential::PASSWORD, source, reason)
            .await?;
        Err(Error::Unauthenticated { reason })
    }

    /// Checks a password under the rules of back-off. What is known is asked
    /// again when it is this one's turn to be hashed: of passwords that are sent
    /// at once, no more are hashed than there are free ones, and a right one is
    /// hashed once.
    async fn password_check(&self, check: Check) -> Result<Checked, Error> {
        let memory = Arc::clone(&self.passwords.0);
        if let Some(known) = memory.known(&check, self.clock.monotonic()) {
            return Ok(known);
        }
        let of_pair = memory.turns.of_pair(check.pair).await;
        if let Some(known) = memory.known(&check, self.clock.monotonic()) {
            return Ok(known);
        }
        let permit = match memory.turns.take(check.network).await {
            Ok(permit) => permit,
            Err(Error::TooManyFailures { retry_after }) => {
                return Ok(Checked::Wait(retry_after, "too many passwords at once"));
            }
            Err(error) => return Err(error),
        };
        let clock = Arc::clone(&self.clock);
        // Who goes away before the answer has failed all the same.
        under((permit, of_pair), move || {
            let right = verify_here(check.password.reveal(), &check.stored)?;
            let now = clock.monotonic();
            if right {
                memory.backoff.succeeded(&check.pair);
                memory.verified.insert(check.fingerprint, now + MEMORY);
                return Ok(Checked::Right);
            }
            memory.backoff.failed(&check.pair, now);
            Ok(Checked::Wrong)
        })
        .await
    }
}

/// The line of a log-in.
fn logged_in(caller: &Caller) -> AuditEvent {
    let event = AuditEvent::new(caller, "login", "principal", caller.name());
    match &caller.principal {
        Some(principal) => event
            .id(principal.id)
            .account(principal.account_name.clone()),
        None => event,
    }
}

/// Whether this has the form of a signed token.
fn is_token(text: &str) -> bool {
    text.starts_with("eyJ") && text.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// The hash of a password that nobody has.
static NOBODY: LazyLock<String> = LazyLock::new(|| {
    hash_here(
        &rand::random::<[u8; 16]>()
            .map(|byte| char::from(b'a' + byte % 26))
            .iter()
            .collect::<String>(),
    )
    .unwrap_or_default()
});

fn hash_here(password: &str) -> Result<String, Error> {
    let salt = rand::random::<[u8; 16]>();
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
    hash.map(|hash: PasswordHash| hash.to_string())
        .map_err(|e| Error::Password(e.to_string()))
}

/// The PHC string of the password's hash, under a new salt.
pub(crate) async fn hash(password: Secret) -> Result<String, Error> {
    if !(1..=LONGEST).contains(&password.reveal().len()) {
        return Err(Error::Password(format!(
            "1 to {LONGEST} bytes are expected"
        )));
    }
    let permit = turns::own().await?;
    under(permit, move || hash_here(password.reveal())).await
}

/// Whether the hash is the password's. The comparison takes constant time.
pub(crate) async fn verify(password: Secret, hash: String) -> Result<bool, Error> {
    let permit = turns::own().await?;
    under(permit, move || verify_here(password.reveal(), &hash)).await
}

fn verify_here(password: &str, hash: &str) -> Result<bool, Error> {
    let hash = PasswordHash::new(hash).map_err(|e| Error::Password(e.to_string()))?;
    Ok(Argon2::default()
        .verify_password(password.as_bytes(), &hash)
        .is_ok())
}

/// Hashes off the async threads. The permit goes with the work: a caller that
/// goes away ends its waiting, and not the hash that is being computed.
async fn under<T: Send + 'static>(
    permit: impl Send + 'static,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let hashing = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work()
    });
    let stopped = |_| Error::Password("the hashing thread stopped".to_owned());
    hashing.await.map_err(stopped)?
}

/// A password of 120 random bits, in letters and digits that can't be
/// mistaken for each other.
pub(crate) fn made_up() -> Secret {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
    let random = rand::random::<[u8; 24]>();
    let text: String = random
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
        .collect();
    Secret::new(text)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_caller_that_goes_away_does_not_let_another_hash_start() {
        let turns = Turns::of(Arc::new(tokio::sync::Semaphore::new(2)));
        let network = Network::of(None);
        let (started, starts) = channel();
        let mut ends = Vec::new();
        for _ in 0..2 {
            let (end, ended) = channel::<()>();
            ends.push(end);
            let started = started.clone();
            let permit = turns.take(network).await.expect("room");
            let hashing = tokio::spawn(under(permit, move || {
                started
                    .send(())
                    .map_err(|_| Error::Password(String::new()))?;
                // Until the test drops the other end.
                let _ = ended.recv();
                Ok(())
            }));
            starts.recv().expect("the hash started");
            hashing.abort();
            assert!(hashing.await.is_err(), "its caller is gone");
        }
        let third = tokio::time::timeout(Duration::from_millis(50), turns.take(network));
        assert!(third.await.is_err(), "two hashes are going on");
        drop(ends);
        drop(turns.take(network).await.expect("one has ended"));
    }
}
