//! Two worlds: one where another account holds a blob, and one where nobody
//! does. A caller can't tell them apart, neither by the answer nor by the work
//! that is done for it: the same statements, and the same calls of the store.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::{Router, body::Body};
use base64::Engine;
use http::{Method, Request, header};
use http_body_util::BodyExt;
use landfall_blobs::{DiskStore, FaultyStore, Operation};
use landfall_clock::{Clock, ManualClock, SystemClock};
use landfall_database::{Database, MigrationSet, PostgresOptions};
use landfall_identity::{
    Caller, Identity, LocalName, PolicyTarget, PrincipalKind, Repositories, Secret,
};
use landfall_ids::RepositoryId;
use landfall_notify::{
    Notify,
    egress::{AllowList, Egress, EgressSettings},
};
use landfall_oci::{Algorithm, Digest, RepositoryName};
use landfall_registry::Registry;
use landfall_seal::MasterKey;
use landfall_server::{Server, TrustedProxies, observe::Metrics};
use landfall_services::postgres;
use tower::ServiceExt;

const SCHEMAS: &[MigrationSet] = &[
    landfall_database::lease::MIGRATIONS,
    landfall_database::epoch::MIGRATIONS,
    landfall_database::outbox::MIGRATIONS,
    landfall_identity::MIGRATIONS,
    landfall_registry::MIGRATIONS,
    landfall_notify::MIGRATIONS,
];

/// Statements are counted for the process, so one world is asked at a time. An
/// async mutex: it is held for as long as a test runs.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Pairs of digests that are asked for.
const PAIRS: u8 = 4;
const PASSWORD: &str = "a password of the tests";

struct OfRegistry(Arc<Registry>);

#[async_trait]
impl Repositories for OfRegistry {
    async fn repository_find(
        &self,
        name: &RepositoryName,
    ) -> Result<Option<RepositoryId>, landfall_database::Error> {
        self.0.repository_look_up(name).await
    }

    async fn repositories_find(
        &self,
        names: &[RepositoryName],
    ) -> Result<Vec<Option<RepositoryId>>, landfall_database::Error> {
        self.0.repositories_look_up(names).await
    }

    async fn repository_name(
        &self,
        id: RepositoryId,
    ) -> Result<Option<RepositoryName>, landfall_database::Error> {
        self.0.repository_name(id).await
    }
}

/// A server without a socket, and without anything that goes on by itself.
struct World {
    router: Router,
    store: FaultyStore,
}

/// What can be seen of a request, from outside and from inside.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
    statements: u64,
    calls: u64,
}

/// A request: its method, its path and its body, of a digest.
type Asking = fn(&Digest) -> (Method, String, String);

impl World {
    async fn on(database: Database, folder: &Path) -> Self {
        database.migrate(SCHEMAS).await.expect("the schema");
        // It stands still: nothing is read again because it has grown old.
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(SystemClock.now()));
        let store = DiskStore::open(folder.join("blobs")).expect("a store");
        let store = FaultyStore::new(Arc::new(store));
        let settings = landfall_registry::Settings {
            max_manifest_size: 4 << 20,
            max_blob_size: None,
            promise: Duration::from_hours(1),
            undo_window: Duration::from_hours(1),
            tag_history: Duration::from_hours(1),
            upload_lifetime: Duration::from_hours(1),
            trash_delay: Duration::from_hours(1),
            untagged_after: None,
        };
        let opened = Registry::open(
            database.clone(),
            Arc::new(store.clone()),
            Arc::clone(&clock),
            settings,
        );
        let registry = Arc::new(opened.await.expect("a registry"));
        let master = MasterKey::create(&folder.join("master")).expect("a key");
        let master = Arc::new(master);
        let settings = landfall_identity::Settings {
            anonymous_pull: false,
            token_lifetime: Duration::from_mins(5),
            audit_retention: None,
        };
        let opened = Identity::open(
            database.clone(),
            Arc::clone(&clock),
            Arc::clone(&master),
            folder,
            registry.store_id(),
            settings,
            Arc::new(OfRegistry(Arc::clone(&registry))),
        );
        let identity = Arc::new(opened.await.expect("identities"));
        add_people(&identity).await;
        let egress = Egress::new(EgressSettings {
            allow: AllowList::default(),
            authorities: None,
            timeout: Duration::from_secs(1),
        });
        let settings = landfall_notify::Settings {
            retention: Duration::from_hours(1),
            retry_for: Duration::from_hours(1),
            source: "urn:uuid:test".to_owned(),
            holder: "test".to_owned(),
            lease: Duration::from_secs(5),
            claim: Duration::from_secs(5),
        };
        let egress = egress.expect("a client");
        let notify = Notify::new(
            database.clone(),
            Arc::clone(&clock),
            master,
            egress,
            settings,
        );
        let settings = landfall_server::Settings {
            external_url: Some("http://registry.test".to_owned()),
            scratch: folder.to_owned(),
            redirect_pulls: false,
            trusted_proxies: TrustedProxies::default(),
        };
        let metrics = Metrics::install().expect("metrics");
        let server = Server::new(
            registry, identity, notify, database, clock, metrics, settings,
        );
        let router = landfall_server::router(Arc::new(server));
        Self { router, store }
    }

    async fn ask(&self, who: &str, (method, path, body): (Method, String, String)) -> Seen {
        let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{who}:{PASSWORD}"));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Basic {encoded}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body))
            .expect("a request");
        let (statements, calls) = (landfall_database::statements(), self.calls());
        let answer = self.router.clone().oneshot(request).await;
        let (head, body) = answer.expect("an answer").into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let statements = landfall_database::statements() - statements;
        let headers = head.headers.iter().map(|(name, value)| {
            let value = value.to_str().expect("text").to_owned();
            (name.to_string(), value)
        });
        Seen {
            status: head.status.as_u16(),
            headers: headers.collect(),
            body: String::from_utf8_lossy(&body).into_owned(),
            statements,
            calls: self.calls() - calls,
        }
    }

    fn calls(&self) -> u64 {
        use Operation as Of;
        [
            Of::Stage,
            Of::Append,
            Of::Suspend,
            Of::Finish,
            Of::Promote,
            Of::Discard,
            Of::DigestStaged,
            Of::Open,
            Of::Read,
            Of::Delete,
            Of::Quarantine,
            Of::List,
            Of::ListStaged,
            Of::Probe,
        ]
        .into_iter()
        .map(|operation| self.store.calls(operation))
        .sum()
    }

    async fn push(&self, who: &str, repository: &str, content: &[u8]) -> Digest {
        let digest = Digest::of(Algorithm::Sha256, content);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        let body = String::from_utf8(content.to_vec()).expect("text");
        let pushed = self.ask(who, (Method::POST, path, body)).await;
        assert_eq!(pushed.status, 201, "{repository}: {}", pushed.body);
        digest
    }
}

/// Bob, who may do all in `acme`, beside the administrator.
async fn add_people(identity: &Identity) {
    let first = identity.first_start(Some(Secret::new(PASSWORD)));
    first.await.expect("an administrator");
    let by = Caller::ANONYMOUS;
    identity.account_create("acme", &by).await.expect("acme");
    let bob: LocalName = "acme/bob".parse().expect("a name");
    let password = Some(Secret::new(PASSWORD));
    let made = identity.principal_create(&bob, PrincipalKind::User, password, &by);
    made.await.expect("bob");
    let text = "permit(principal, action, resource);";
    let target = PolicyTarget::Principal(bob.clone());
    let made = identity.policy_create(&bob, &target, text, &by);
    made.await.expect("a policy");
}

/// An answer with what names its digest or its upload taken out.
fn leveled(mut seen: Seen, digest: &Digest) -> Seen {
    let upload = seen.headers.remove("docker-upload-uuid");
    let level = |text: &str| {
        let text = text.replace(&digest.to_string(), "DIGEST");
        upload
            .as_ref()
            .map_or(text.clone(), |upload| text.replace(upload, "UPLOAD"))
    };
    seen.body = level(&seen.body);
    for value in seen.headers.values_mut() {
        *value = level(value);
    }
    seen
}

const ASKING: [(&str, u16, Asking); 10] = [
    ("HEAD", 404, |digest| {
        let path = format!("/v2/acme/web/blobs/{digest}");
        (Method::HEAD, path, String::new())
    }),
    ("GET", 404, |digest| {
        let path = format!("/v2/acme/web/blobs/{digest}");
        (Method::GET, path, String::new())
    }),
    ("GET of a manifest", 404, |digest| {
        let path = format!("/v2/acme/web/manifests/{digest}");
        (Method::GET, path, String::new())
    }),
    ("GET of a referrer", 200, |digest| {
        let path = format!("/v2/acme/web/referrers/{digest}");
        (Method::GET, path, String::new())
    }),
    ("a mount from anywhere", 202, |digest| {
        let path = format!("/v2/acme/web/blobs/uploads/?mount={digest}");
        (Method::POST, path, String::new())
    }),
    ("a mount from theirs", 202, |digest| {
        let path = format!("/v2/acme/web/blobs/uploads/?mount={digest}&from=other/base");
        (Method::POST, path, String::new())
    }),
    ("a mount from ours", 202, |digest| {
        let path = format!("/v2/acme/web/blobs/uploads/?mount={digest}&from=acme/base");
        (Method::POST, path, String::new())
    }),
    ("layers:check", 200, |digest| {
        let path = "/api/v1/repositories/acme%2Fweb/layers:check".to_owned();
        (Method::POST, path, format!(r#"{{"digests":["{digest}"]}}"#))
    }),
    ("PUT of a manifest that needs it", 400, |digest| {
        let descriptor = format!(
            r#"{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{digest}","size":9}}"#
        );
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{descriptor},"layers":[]}}"#
        );
        let path = "/v2/acme/web/manifests/v1".to_owned();
        (Method::PUT, path, manifest)
    }),
    ("HEAD of theirs", 403, |digest| {
        let path = format!("/v2/other/base/blobs/{digest}");
        (Method::HEAD, path, String::new())
    }),
];

async fn are_the_same(world: &World) {
    for repository in ["acme/web", "acme/base"] {
        world.push("acme/bob", repository, b"ours").await;
    }
    let mut pairs = Vec::new();
    for number in 0..PAIRS {
        let theirs = format!("theirs {number}");
        for repository in ["other/base", "other/more", "third/base"] {
            world.push("admin", repository, theirs.as_bytes()).await;
        }
        let nobodys = format!("nobody's {number}");
        pairs.push([theirs, nobodys].map(|text| Digest::of(Algorithm::Sha256, text.as_bytes())));
    }
    for (what, status, asking) in ASKING {
        let first = Digest::of(Algorithm::Sha256, b"what is read once for all");
        world.ask("acme/bob", asking(&first)).await;
        for pair in &pairs {
            let mut seen = Vec::new();
            for digest in pair {
                seen.push(leveled(world.ask("acme/bob", asking(digest)).await, digest));
            }
            assert_eq!(seen[0].status, status, "{what}: {}", seen[0].body);
            assert!(seen[0].statements > 0, "{what}: no statement was counted");
            assert_eq!(seen[0], seen[1], "{what}");
        }
    }
    // Had it been bob's, he would have seen it.
    let ours = Digest::of(Algorithm::Sha256, b"ours");
    let (_, _, head) = ASKING[0];
    assert_eq!(world.ask("acme/bob", head(&ours)).await.status, 200);
}

#[tokio::test]
async fn what_others_hold_can_not_be_told_from_what_nobody_holds_on_sqlite() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().expect("a folder");
    let database = Database::open_sqlite(&folder.path().join("metadata"));
    let world = World::on(database.expect("a database"), folder.path()).await;
    are_the_same(&world).await;
}

#[tokio::test]
async fn what_others_hold_can_not_be_told_from_what_nobody_holds_on_postgres() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().expect("a folder");
    let url = postgres::fresh();
    let database = Database::open_postgres(&PostgresOptions::new(&*url)).await;
    let world = World::on(database.expect("a database"), folder.path()).await;
    are_the_same(&world).await;
}
