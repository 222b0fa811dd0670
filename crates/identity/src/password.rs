//! Passwords: argon2id (RFC 9106) off the async threads, and a short memory.
//!
//! Checking a password takes tens of milliseconds and 19 MiB on purpose. A
//! client that sends it with every request would pay that each time, so a
//! check that succeeded is remembered for [`MEMORY`]: under a keyed hash of
//! name, password and stored hash, so neither a changed password nor somebody
//! who reads the memory gets anything from it.

use std::{sync::LazyLock, time::Duration};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use aws_lc_rs::hmac;
use landfall_clock::Timestamp;
use quick_cache::sync::Cache;
use tokio::sync::Semaphore;

use crate::{Caller, Error, Identity, ScopeLimit, Secret, store};

/// How long a successful check is remembered.
const MEMORY: Duration = Duration::from_mins(5);
/// Checks that are remembered.
const REMEMBERED: usize = 1024;
/// Hashes that are computed at once: a flood of wrong passwords takes two
/// cores and 38 MiB, and no more.
static HASHING: Semaphore = Semaphore::const_new(2);
/// The longest password that is looked at, in bytes.
const LONGEST: usize = 1024;

pub(crate) struct Passwords {
    key: hmac::Key,
    verified: Cache<[u8; 32], Timestamp>,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>());
        Self {
            key,
            verified: Cache::new(REMEMBERED),
        }
    }

    fn fingerprint(&self, name: &str, password: &str, stored: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [name, password, stored] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(context.sign().as_ref());
        fingerprint
    }
}

impl Identity {
    /// The caller that this name and password prove.
    pub async fn caller_by_password(&self, name: &str, password: &Secret) -> Result<Caller, Error> {
        let wrong = Error::Unauthenticated {
            reason: "unknown name or wrong password",
        };
        if password.reveal().len() > LONGEST || name.len() > LONGEST {
            return Err(wrong);
        }
        let wanted = name.to_owned();
        // No name holds a NUL, and PostgreSQL takes no text with one.
        let found = if name.contains('\0') {
            None
        } else {
            let read = self
                .database
                .read(move |tx| store::administrator_find(tx, &wanted));
            read.await?
        };
        let Some((principal, stored)) = found else {
            // As slow as a wrong password: the time must not tell who exists.
            verify(password.clone(), NOBODY.clone()).await?;
            return Err(wrong);
        };
        let fingerprint = self.passwords.fingerprint(name, password.reveal(), &stored);
        let now = self.clock.now();
        let remembered = self.passwords.verified.get(&fingerprint);
        if remembered.is_none_or(|at| now.since(at) > MEMORY) {
            if !verify(password.clone(), stored).await? {
                return Err(wrong);
            }
            self.passwords.verified.insert(fingerprint, now);
        }
        Ok(Caller {
            principal: Some(principal),
            scope: ScopeLimit::Whole,
        })
    }
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
    off_thread(move || hash_here(password.reveal())).await
}

/// Whether the hash is the password's. The comparison takes constant time.
pub(crate) async fn verify(password: Secret, hash: String) -> Result<bool, Error> {
    off_thread(move || {
        let hash = PasswordHash::new(&hash).map_err(|e| Error::Password(e.to_string()))?;
        Ok(Argon2::default()
            .verify_password(password.reveal().as_bytes(), &hash)
            .is_ok())
    })
    .await
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let stopped = |_| Error::Password("the hashing thread stopped".to_owned());
    let permit = HASHING
        .acquire()
        .await
        .map_err(|_| Error::Password("hashing is closed".to_owned()))?;
    // The permit goes with the work: a caller that goes away ends its waiting,
    // and not the hash that is being computed.
    let hashing = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work()
    });
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
        let (started, starts) = channel();
        let mut ends = Vec::new();
        for _ in 0..2 {
            let (end, ended) = channel::<()>();
            ends.push(end);
            let started = started.clone();
            let hashing = tokio::spawn(off_thread(move || {
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
        assert_eq!(HASHING.available_permits(), 0, "two hashes are going on");
        drop(ends);
        HASHING
            .acquire_many(2)
            .await
            .expect("both have ended")
            .forget();
        HASHING.add_permits(2);
    }
}
