//! What clients do with blobs: upload, mount, ask, read.

use landfall_oci::Algorithm;
use landfall_registry::{Error, LayerState};

use super::{Damage, Run, Session};
use crate::{
    model::{
        operations::Harm,
        promises::Expected,
        universe::{REPOSITORIES, UNIVERSE},
    },
    world::{body, digest},
};

impl Run {
    pub(super) async fn start(&mut self, client: usize, repository: usize, blob: usize) {
        let (name, account) = (&UNIVERSE.names[repository], UNIVERSE.accounts[repository]);
        if let Some(old) = self.sessions[client].take() {
            let name = &UNIVERSE.names[old.repository];
            let cancelled = self.world().upload_cancel(name, old.id).await;
            cancelled.expect("it was going on");
        }
        let started = self
            .world()
            .upload_start(name, account, Algorithm::Sha256)
            .await;
        self.sessions[client] = Some(Session {
            id: started.expect("a session").id,
            repository,
            blob,
            sent: 0,
            touched: self.model.now,
        });
    }

    pub(super) async fn append(&mut self, client: usize) {
        let Some(session) = self.sessions[client] else {
            return;
        };
        let name = &UNIVERSE.names[session.repository];
        let left = &UNIVERSE.blobs[session.blob].bytes[session.sent..];
        let part = &left[..left.len().div_ceil(2)];
        let appended = self
            .world()
            .upload_append(name, session.id, None, body(part))
            .await;
        let sent = session.sent + part.len();
        assert_eq!(appended.expect("the session goes on").received, sent as u64);
        self.sessions[client] = Some(Session {
            sent,
            touched: self.model.now,
            ..session
        });
    }

    pub(super) async fn finish(&mut self, client: usize, lie: bool) {
        let Some(session) = self.sessions[client].take() else {
            return;
        };
        let name = &UNIVERSE.names[session.repository];
        let blob = &UNIVERSE.blobs[session.blob];
        let wanted = if lie { digest(b"a lie") } else { blob.digest };
        let rest = body(&blob.bytes[session.sent..]);
        let finished = self
            .world()
            .upload_finish(name, session.id, &wanted, None, rest)
            .await;
        if lie {
            assert!(
                matches!(finished, Err(Error::DigestMismatch { .. })),
                "{finished:?}"
            );
        } else {
            finished.expect("the blob");
            self.model.promise(session.repository, session.blob);
        }
    }

    pub(super) async fn mount(&mut self, from: usize, to: usize, blob: usize) {
        let wanted = &UNIVERSE.blobs[blob].digest;
        let (source, target) = (&UNIVERSE.names[from], &UNIVERSE.names[to]);
        let mounted = self
            .world()
            .blob_mount(target, UNIVERSE.accounts[to], wanted, source)
            .await;
        let mounted = mounted.expect("an answer");
        self.answered(from, blob, mounted).await;
        if mounted {
            self.model.promise(to, blob);
        }
    }

    pub(super) async fn head(&mut self, repository: usize, blob: usize) {
        let wanted = &UNIVERSE.blobs[blob].digest;
        let name = &UNIVERSE.names[repository];
        let there = match self.world().blob_promise(name, wanted).await {
            Ok(found) => {
                assert_eq!(found.size, UNIVERSE.blobs[blob].bytes.len() as u64);
                true
            }
            Err(Error::BlobUnknown(_)) => false,
            Err(error) => panic!("{error}"),
        };
        self.answered(repository, blob, there).await;
        if there {
            self.model.promise(repository, blob);
        }
    }

    pub(super) async fn get(&mut self, repository: usize, blob: usize) {
        let name = &UNIVERSE.names[repository];
        let wanted = &UNIVERSE.blobs[blob];
        let damage = self.damage(blob).await;
        let read = self.world().read(name, &wanted.digest).await;
        match (damage, read) {
            (Damage::Silent(Harm::Remove | Harm::Cut), Err(Error::BlobUnknown(_))) => {
                // Unless the repository does not see the blob, it is marked now.
                if self.model.expected(repository, blob) == Expected::There {
                    assert_eq!(self.damage(blob).await, Damage::Marked);
                }
            }
            (Damage::Silent(Harm::Flip), Ok(bytes)) => assert_ne!(bytes, wanted.bytes),
            (Damage::None, Ok(bytes)) => {
                assert_eq!(bytes, wanted.bytes);
                self.answered(repository, blob, true).await;
            }
            (_, Err(Error::BlobUnknown(_))) => self.answered(repository, blob, false).await,
            (damage, read) => panic!("{damage:?}, and GET answers {read:?}"),
        }
    }

    pub(super) async fn check(&mut self, repository: usize) {
        let account = UNIVERSE.accounts[repository];
        let digests: Vec<_> = UNIVERSE.blobs.iter().map(|blob| blob.digest).collect();
        let name = &UNIVERSE.names[repository];
        let states = self
            .world()
            .layers_check(name, account, &digests, |_| true)
            .await;
        for (blob, (_, state)) in states.expect("an answer").into_iter().enumerate() {
            let present = state == LayerState::Present;
            self.answered(repository, blob, present).await;
            match state {
                LayerState::Present => self.model.promise(repository, blob),
                LayerState::Mounted => {
                    let mut sources = Vec::new();
                    for other in others(repository) {
                        sources.push(self.expected(other, blob).await);
                    }
                    assert!(
                        sources.iter().any(|source| *source != Expected::Gone),
                        "blob {blob} was mounted from nowhere"
                    );
                    self.model.promise(repository, blob);
                }
                LayerState::New => {
                    for other in others(repository) {
                        self.answered(other, blob, false).await;
                    }
                }
            }
        }
    }
}

/// The other repositories of the same account.
fn others(repository: usize) -> impl Iterator<Item = usize> {
    let account = UNIVERSE.accounts[repository];
    (0..REPOSITORIES)
        .filter(move |other| *other != repository && UNIVERSE.accounts[*other] == account)
}
