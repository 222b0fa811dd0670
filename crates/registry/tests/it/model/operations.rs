//! What may happen in a history, and how often.

use std::time::Duration;

use proptest::prelude::*;

use super::universe::{BLOBS, CLIENTS, MANIFESTS, REPOSITORIES, TAGS};
use crate::world::UNDO;

/// One step of a history. Numbers are places in the universe.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    /// A whole blob in one request.
    Push {
        repository: usize,
        blob: usize,
    },
    /// A client starts the session of a blob, and gives an earlier one up.
    Start {
        client: usize,
        repository: usize,
        blob: usize,
    },
    /// Half of what is left to send.
    Append {
        client: usize,
    },
    /// The rest. With `lie`, under the digest of something else.
    Finish {
        client: usize,
        lie: bool,
    },
    Mount {
        from: usize,
        to: usize,
        blob: usize,
    },
    /// HEAD, with its promise.
    Head {
        repository: usize,
        blob: usize,
    },
    /// GET, which finds some kinds of damage.
    Get {
        repository: usize,
        blob: usize,
    },
    /// `layers:check` of all blobs.
    Check {
        repository: usize,
    },
    Put {
        repository: usize,
        manifest: usize,
        tag: Option<usize>,
    },
    DeleteTag {
        repository: usize,
        tag: usize,
    },
    DeleteManifest {
        repository: usize,
        manifest: usize,
    },
    /// By tag, and with what only it held.
    DeleteImage {
        repository: usize,
        tag: usize,
        purge: bool,
    },
    UndoTag {
        repository: usize,
        tag: usize,
    },
    /// With what was deleted by the same act.
    RestoreImage {
        repository: usize,
        manifest: usize,
    },
    DeleteBlob {
        repository: usize,
        blob: usize,
    },
    DeleteRepository {
        repository: usize,
    },
    Advance(Duration),
    Collect {
        grace: Option<Duration>,
    },
    /// The disk harms the bytes of a blob.
    Damage {
        blob: usize,
        harm: Harm,
    },
    /// `fsck --repair`.
    Repair,
    Restart,
}

/// What happens to the file of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Harm {
    /// It is gone.
    Remove,
    /// It is shorter.
    Cut,
    /// A bit of it is another.
    Flip,
}

fn time() -> impl Strategy<Value = Duration> {
    let minutes = prop_oneof![
        3 => 1u64..35,
        4 => 55u64..92,
        1 => Just(9 * 60),
        1 => Just(11 * 60),
        1 => Just(101 * 60),
    ];
    minutes.prop_map(Duration::from_mins)
}

/// Undo windows: none, shorter than a promise, and longer.
pub(crate) fn undo() -> impl Strategy<Value = Duration> {
    prop_oneof![
        1 => Just(Duration::ZERO),
        2 => (1u64..80).prop_map(Duration::from_mins),
        2 => Just(UNDO),
    ]
}

pub(crate) fn grace() -> impl Strategy<Value = Option<Duration>> {
    prop_oneof![
        3 => Just(None),
        2 => Just(Some(Duration::ZERO)),
        1 => (1u64..70).prop_map(|minutes| Some(Duration::from_mins(minutes))),
    ]
}

/// Any operation; those that build something up are more frequent.
pub(crate) fn operation() -> impl Strategy<Value = Operation> {
    use Operation::{
        Advance, Append, Check, Collect, Damage, DeleteBlob, DeleteImage, DeleteManifest,
        DeleteRepository, DeleteTag, Finish, Get, Head, Mount, Push, Put, Repair, Restart,
        RestoreImage, Start, UndoTag,
    };
    let at = 0..REPOSITORIES;
    let blob = 0..BLOBS;
    let tag = 0..TAGS.len();
    let client = 0..CLIENTS;
    let manifest = 0..MANIFESTS;
    let harm = prop_oneof![Just(Harm::Remove), Just(Harm::Cut), Just(Harm::Flip)];
    prop_oneof![
        12 => (at.clone(), blob.clone()).prop_map(|(repository, blob)| Push { repository, blob }),
        4 => (client.clone(), at.clone(), blob.clone())
            .prop_map(|(client, repository, blob)| Start { client, repository, blob }),
        4 => client.clone().prop_map(|client| Append { client }),
        4 => (client, proptest::bool::weighted(0.1))
            .prop_map(|(client, lie)| Finish { client, lie }),
        5 => (at.clone(), at.clone(), blob.clone())
            .prop_map(|(from, to, blob)| Mount { from, to, blob }),
        9 => (at.clone(), blob.clone()).prop_map(|(repository, blob)| Head { repository, blob }),
        3 => (at.clone(), blob.clone()).prop_map(|(repository, blob)| Get { repository, blob }),
        3 => at.clone().prop_map(|repository| Check { repository }),
        16 => (at.clone(), manifest.clone(), proptest::option::of(tag.clone()))
            .prop_map(|(repository, manifest, tag)| Put { repository, manifest, tag }),
        2 => (at.clone(), tag.clone()).prop_map(|(repository, tag)| DeleteTag { repository, tag }),
        4 => (at.clone(), manifest.clone())
            .prop_map(|(repository, manifest)| DeleteManifest { repository, manifest }),
        5 => (at.clone(), manifest)
            .prop_map(|(repository, manifest)| RestoreImage { repository, manifest }),
        5 => (at.clone(), tag.clone()).prop_map(|(repository, tag)| UndoTag { repository, tag }),
        3 => (at.clone(), tag, any::<bool>())
            .prop_map(|(repository, tag, purge)| DeleteImage { repository, tag, purge }),
        3 => (at.clone(), blob.clone())
            .prop_map(|(repository, blob)| DeleteBlob { repository, blob }),
        1 => at.prop_map(|repository| DeleteRepository { repository }),
        16 => time().prop_map(Advance),
        14 => grace().prop_map(|grace| Collect { grace }),
        3 => (blob, harm).prop_map(|(blob, harm)| Damage { blob, harm }),
        1 => Just(Repair),
        1 => Just(Restart),
    ]
}
