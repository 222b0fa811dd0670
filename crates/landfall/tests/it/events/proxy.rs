//! A wire between client and server that can be cut.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{net::TcpListener, sync::watch};

/// Passes connections on, until they are cut.
pub(super) struct Proxy {
    /// Where clients connect to.
    pub(super) url: String,
    target: Arc<Mutex<SocketAddr>>,
    /// Each change cuts every connection.
    cuts: watch::Sender<u32>,
}

impl Proxy {
    pub(super) async fn to(host: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let target = Arc::new(Mutex::new(host.parse().expect("an address")));
        let cuts = watch::Sender::new(0);
        let (goal, sender) = (Arc::clone(&target), cuts.clone());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let goal = *goal.lock().unwrap_or_else(PoisonError::into_inner);
                let mut cut = sender.subscribe();
                tokio::spawn(async move {
                    let Ok(mut server) = tokio::net::TcpStream::connect(goal).await else {
                        return;
                    };
                    tokio::select! {
                        _ = cut.changed() => {}
                        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                    }
                });
            }
        });
        Self { url, target, cuts }
    }

    /// From now on, passes connections on to another server.
    pub(super) fn turn_to(&self, host: &str) {
        let host = host.parse().expect("an address");
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = host;
    }

    /// Cuts every connection.
    pub(super) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}
