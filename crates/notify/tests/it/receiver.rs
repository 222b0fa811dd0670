//! A receiver of webhooks that does what a test wants.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde_json::Value;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().expect("text")
    }

    /// The `CloudEvent`.
    pub(crate) fn event(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub(crate) fn subject(&self) -> String {
        self.event()["subject"].as_str().expect("text").to_owned()
    }

    /// The data, which the tests make numbers of.
    pub(crate) fn number(&self) -> u64 {
        self.event()["data"].as_u64().expect("a number")
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// Before the answer.
    pub(crate) delay: Duration,
    /// Whether the answer's body never ends.
    pub(crate) is_endless: bool,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            delay: Duration::ZERO,
            is_endless: false,
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

type Behaviour = Box<dyn Fn(&Received) -> Reply + Send>;

struct Inner {
    behaviour: Mutex<Behaviour>,
    /// All requests, in the order of their arrivals.
    received: Mutex<Vec<Received>>,
    /// How many requests of each `webhook-id` are being answered, now and at
    /// the most.
    at_once: Mutex<HashMap<String, (u64, u64)>>,
}

/// A receiver on a free port of the loopback.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    inner: Arc<Inner>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Receiver {
    pub(crate) async fn start(behaviour: impl Fn(&Received) -> Reply + Send + 'static) -> Self {
        let inner = Arc::new(Inner {
            behaviour: Mutex::new(Box::new(behaviour)),
            received: Mutex::default(),
            at_once: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, inner }
    }

    /// From now on, answers like that.
    pub(crate) fn answer(&self, behaviour: impl Fn(&Received) -> Reply + Send + 'static) {
        *lock(&self.inner.behaviour) = Box::new(behaviour);
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        lock(&self.inner.received).clone()
    }

    pub(crate) fn count(&self) -> usize {
        lock(&self.inner.received).len()
    }

    /// The numbers of a subject, in the order in which they came.
    pub(crate) fn numbers(&self, subject: &str) -> Vec<u64> {
        let received = self.received();
        let of_subject = received.iter().filter(|each| each.subject() == subject);
        of_subject.map(Received::number).collect()
    }

    /// How many requests with the same id were answered at the same time, at the
    /// most.
    pub(crate) fn most_at_once(&self) -> u64 {
        let at_once = lock(&self.inner.at_once);
        at_once.values().map(|(_, most)| *most).max().unwrap_or(0)
    }
}

async fn answer(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> Response {
    let received = Received { headers, body };
    let id = received.header("webhook-id").to_owned();
    let reply = lock(&inner.behaviour)(&received);
    lock(&inner.received).push(received);
    {
        let mut at_once = lock(&inner.at_once);
        let (now, most) = at_once.entry(id.clone()).or_default();
        *now += 1;
        *most = (*now).max(*most);
    }
    tokio::time::sleep(reply.delay).await;
    lock(&inner.at_once)
        .entry(id)
        .and_modify(|(now, _)| *now -= 1);
    let status = StatusCode::from_u16(reply.status).expect("a status");
    let body = if reply.is_endless {
        Body::from_stream(stream::repeat_with(|| {
            Ok::<_, std::convert::Infallible>(Bytes::from_static(&[b'x'; 1024]))
        }))
    } else {
        Body::from("ok")
    };
    let mut response = (status, body).into_response();
    for (name, value) in reply.headers {
        let value = value.parse().expect("a header's value");
        response.headers_mut().insert(name, value);
    }
    response
}
