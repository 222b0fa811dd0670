//! Bodies that end when the client stops.
//!
//! A [`RequestBody`] counts only the time in which it waits for the client: a
//! slow disk or a slow handler is not the client's fault. A client must send
//! 1 KiB in each `progress_timeout` of waiting, so one byte now and then does
//! not help.
//!
//! A [`ResponseBody`] of HTTP/1 is watched at the socket (`guard`), where bytes
//! can be seen to leave. With HTTP/2 the socket moves on while one stream
//! stands still, so there the body notes when its next piece is asked for; the
//! connection's timer ends the ones that nobody asks.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use super::activity::{Activity, Answer};

/// How much must arrive in one `progress_timeout`.
const PROGRESS: usize = 1024;

/// The largest piece of an HTTP/2 answer: what is handed over at once must be
/// little enough that a slow client takes it in one `progress_timeout`.
const PIECE: usize = 256 * 1024;

/// Why a request body ended early.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The client sent too little for too long. Answer 408.
    #[error("the client stopped sending its request body")]
    Stalled,
    /// The connection broke, or its framing did. Nobody reads an answer.
    #[error("the connection broke in the request body")]
    Broken(#[source] hyper::Error),
}

impl BodyError {
    /// Whether `error`, or a cause of it, says that the client stopped.
    pub fn is_stalled(error: &(dyn std::error::Error + 'static)) -> bool {
        std::iter::successors(Some(error), |error| error.source())
            .any(|error| matches!(error.downcast_ref(), Some(Self::Stalled)))
    }
}

/// The body of a request. Handlers get it inside an [`axum::body::Body`].
pub struct RequestBody {
    incoming: Incoming,
    activity: Arc<Activity>,
    limit: Duration,
    /// The running wait.
    waits_since: Option<Instant>,
    /// Waited since the last [`PROGRESS`] bytes were complete.
    waited: Duration,
    received: usize,
    timer: Option<Pin<Box<Sleep>>>,
}

impl RequestBody {
    pub(super) fn new(incoming: Incoming, activity: Arc<Activity>, limit: Duration) -> Self {
        activity.set_unread_body(true);
        Self {
            incoming,
            activity,
            limit,
            waits_since: None,
            waited: Duration::ZERO,
            received: 0,
            timer: None,
        }
    }

    fn moved(&mut self, bytes: usize) {
        if let Some(since) = self.waits_since.take() {
            self.waited += since.elapsed();
        }
        self.received += bytes;
        if self.received >= PROGRESS {
            self.received = 0;
            self.waited = Duration::ZERO;
        }
    }

    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.waits_since.is_none() {
            let now = Instant::now();
            self.waits_since = Some(now);
            let until = now + self.limit.saturating_sub(self.waited);
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(until),
                None => self.timer = Some(Box::pin(sleep_until(until))),
            }
        }
        match &mut self.timer {
            Some(timer) => timer.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.moved(frame.data_ref().map_or(0, Bytes::len));
                if this.incoming.is_end_stream() {
                    this.activity.set_unread_body(false);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                this.activity.set_unread_body(false);
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(BodyError::Broken(error)))),
            Poll::Pending => this
                .poll_stalled(cx)
                .map(|()| Some(Err(BodyError::Stalled))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// Counts a request as running until it is dropped.
pub(super) struct Running(pub(super) Arc<Activity>);

impl Running {
    pub(super) fn new(activity: Arc<Activity>) -> Self {
        activity.request_began();
        Self(activity)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.request_ended();
    }
}

/// The body of a response, until it is sent or the client is cut off.
pub(super) enum ResponseBody<B> {
    /// HTTP/1: the socket is watched instead.
    Whole { body: B, _running: Running },
    /// HTTP/2: in pieces, each of which must be asked for in time.
    Pieces {
        answer: Arc<Pieces<B>>,
        running: Running,
    },
}

impl<B> ResponseBody<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    pub(super) fn whole(body: B, running: Running) -> Self {
        Self::Whole {
            body,
            _running: running,
        }
    }

    pub(super) fn pieces(body: B, running: Running) -> Self {
        let answer = Arc::new(Pieces {
            state: Mutex::new(State {
                body: Some(body),
                rest: Bytes::new(),
                waiting_since: None,
                cut: false,
            }),
        });
        running
            .0
            .answer_began(Arc::clone(&answer) as Arc<dyn Answer>);
        Self::Pieces { answer, running }
    }
}

/// An answer in pieces. A std mutex: the stream's task takes it for one poll
/// of the body, the timer for a look; neither awaits with it.
pub(super) struct Pieces<B> {
    state: Mutex<State<B>>,
}

struct State<B> {
    /// `None` when it is at its end or was cut.
    body: Option<B>,
    /// What of the last frame is not handed over yet.
    rest: Bytes,
    waiting_since: Option<Instant>,
    cut: bool,
}

impl<B> Pieces<B> {
    fn lock(&self) -> std::sync::MutexGuard<'_, State<B>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Send> Answer for Pieces<B> {
    fn waiting_since(&self) -> Option<Instant> {
        self.lock().waiting_since
    }

    fn cut(&self) {
        let mut state = self.lock();
        state.cut = true;
        state.rest = Bytes::new();
        state.waiting_since = None;
        let body = state.body.take();
        drop(state);
        drop(body);
    }

    fn is_cut(&self) -> bool {
        self.lock().cut
    }
}

impl<B> State<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.cut {
            return Poll::Ready(Some(Err("the client stopped reading its answer".into())));
        }
        self.waiting_since = None;
        if self.rest.is_empty() {
            let Some(body) = &mut self.body else {
                return Poll::Ready(None);
            };
            match std::task::ready!(Pin::new(body).poll_frame(cx)) {
                None => {
                    self.body = None;
                    return Poll::Ready(None);
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
            }
        }
        self.waiting_since = Some(Instant::now());
        let length = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Whole { body, .. } => Pin::new(body)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(Into::into))),
            Self::Pieces { answer, .. } => answer.lock().poll_piece(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole { body, .. } => body.is_end_stream(),
            Self::Pieces { answer, .. } => {
                let state = answer.lock();
                let at_end = state.body.as_ref().is_none_or(Body::is_end_stream);
                !state.cut && state.rest.is_empty() && at_end
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole { body, .. } => body.size_hint(),
            Self::Pieces { answer, .. } => {
                let state = answer.lock();
                let Some(body) = &state.body else {
                    return SizeHint::with_exact(state.rest.len() as u64);
                };
                let hint = body.size_hint();
                let rest = state.rest.len() as u64;
                let mut whole = SizeHint::new();
                whole.set_lower(hint.lower().saturating_add(rest));
                if let Some(upper) = hint.upper() {
                    whole.set_upper(upper.saturating_add(rest));
                }
                whole
            }
        }
    }
}

impl<B> Drop for ResponseBody<B> {
    fn drop(&mut self) {
        if let Self::Pieces { answer, running } = self {
            running.0.answer_ended(Arc::as_ptr(answer).cast());
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Full};

    use super::*;

    fn pieces(bytes: usize) -> (ResponseBody<Full<Bytes>>, Arc<Activity>) {
        let activity = Arc::new(Activity::new());
        let running = Running::new(Arc::clone(&activity));
        let body = Full::new(Bytes::from(vec![7; bytes]));
        (ResponseBody::pieces(body, running), activity)
    }

    #[tokio::test]
    async fn a_large_frame_is_handed_over_in_pieces() {
        let (mut body, _) = pieces(2 * PIECE + 5);
        let mut sizes = Vec::new();
        assert_eq!(body.size_hint().exact(), Some(2 * PIECE as u64 + 5));
        while let Some(frame) = body.frame().await {
            let data = frame.expect("no error").into_data().expect("no trailers");
            sizes.push(data.len());
            let left = body.size_hint().exact().expect("exact");
            let sent: usize = sizes.iter().sum();
            assert_eq!(left, (2 * PIECE + 5 - sent) as u64);
        }
        assert_eq!(sizes, [PIECE, PIECE, 5]);
    }

    #[tokio::test]
    async fn an_answer_that_is_not_asked_for_is_cut_and_then_fails() {
        let (mut body, activity) = pieces(2 * PIECE);
        body.frame().await.expect("a piece").expect("no error");
        let limits = crate::listen::Limits::default();
        let late = Instant::now() + limits.progress_timeout + Duration::from_secs(1);
        let verdict = activity.verdict(late, &limits);
        assert!(matches!(verdict, crate::listen::activity::Verdict::Cut(_)));
        assert!(!body.is_end_stream(), "a cut answer must not look complete");
        let error = body.frame().await.expect("not the end").expect_err("cut");
        assert!(error.to_string().contains("stopped reading"), "{error}");
    }

    #[test]
    fn a_dropped_answer_is_forgotten() {
        let (body, activity) = pieces(5);
        drop(body);
        let limits = crate::listen::Limits::default();
        let verdict = activity.verdict(Instant::now(), &limits);
        assert!(matches!(verdict, crate::listen::activity::Verdict::Wait(_)));
    }

    #[test]
    fn a_stall_is_found_behind_other_errors() {
        let wrapped = axum::Error::new(BodyError::Stalled);
        assert!(BodyError::is_stalled(&wrapped));
        assert!(!BodyError::is_stalled(&std::io::Error::other("no")));
    }
}
