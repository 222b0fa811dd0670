//! Events from outside: the log, the stream, webhooks, and their commands.

mod log;
mod proxy;
mod receiver;
mod replicas;
mod stream;
mod tail;
mod webhooks;

use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{
    server::{Options, Server},
    session::{Image, MANIFEST, Session},
};

/// How long a state may take to come.
const LIMIT: Duration = Duration::from_secs(40);

/// A server whose webhooks may go to this machine.
struct World {
    server: Server,
    session: Session,
    directory: TempDir,
}

fn options() -> Options {
    Options::default().set("LANDFALL_EGRESS_ALLOW", "127.0.0.1")
}

impl World {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("scratch directory");
        let server = Server::start_with(&directory.path().join("data"), &options());
        let session = Session::of(&server);
        Self {
            server,
            session,
            directory,
        }
    }

    /// Kills the server, as `kill -9` does, and starts another on its data.
    fn kill_and_start(&mut self) {
        self.server.kill_in_place();
        let data = self.directory.path().join("data");
        self.server = Server::start_with(&data, &options());
        self.session = Session::of(&self.server);
    }

    /// Pushes an image to `admin/web`, under a tag.
    async fn push(&self, tag: &str) -> Image {
        let image = Image::new(1, 2);
        self.session.push("admin/web", tag, &image).await;
        image
    }

    /// Gives the image of [`World::push`] more tags: two events each, of the push
    /// and of the tag.
    async fn tag(&self, image: &Image, tags: std::ops::Range<u32>) {
        for tag in tags {
            let tag = format!("t{tag}");
            self.session
                .push_manifest("admin/web", &tag, MANIFEST, &image.manifest)
                .await;
        }
    }
}

/// Waits until a condition holds, and fails if it does not in time.
async fn until<F, W>(what: &str, mut holds: W)
where
    F: Future<Output = bool>,
    W: FnMut() -> F,
{
    let end = Instant::now() + LIMIT;
    while !holds().await {
        assert!(Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
