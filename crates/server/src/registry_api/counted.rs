//! The body of an answer whose bytes are counted as its client takes them.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use landfall_registry::RepositoryUsage;

/// Counts what was sent of `body`.
///
/// Whoever sends an answer asks for its next frame when the one before has
/// left, and that is when it is counted. So an answer that breaks off is
/// counted up to the frame that broke.
pub(super) struct Counted<B> {
    body: B,
    usage: Arc<RepositoryUsage>,
    /// Bytes of the frame that was handed over last.
    leaving: u64,
}

impl<B: Body> Counted<B> {
    pub(super) fn new(body: B, usage: Arc<RepositoryUsage>) -> Self {
        Self {
            body,
            usage,
            leaving: 0,
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Counted<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        let left = std::mem::take(&mut this.leaving);
        if left > 0 {
            this.usage.sent(left);
        }
        let frame = std::task::ready!(Pin::new(&mut this.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            let size = frame.data_ref().map_or(0, Bytes::len) as u64;
            // Nobody asks for more than the last one.
            if this.body.is_end_stream() {
                this.usage.sent(size);
            } else {
                this.leaving = size;
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    fn body() -> impl Body<Data = Bytes, Error = std::convert::Infallible> + Unpin {
        let frames = [&b"abc"[..], b"de", b"f"].map(|bytes| Ok(Frame::data(Bytes::from(bytes))));
        StreamBody::new(futures_util::stream::iter(frames))
    }

    fn registry_usage() -> Arc<RepositoryUsage> {
        Arc::default()
    }

    #[tokio::test]
    async fn an_answer_that_is_taken_whole_is_counted_whole() {
        let usage = registry_usage();
        let collected = Counted::new(body(), Arc::clone(&usage)).collect().await;
        assert_eq!(collected.expect("bytes").to_bytes(), "abcdef");
        assert_eq!(usage.sent_so_far(), 6);
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_counted_up_to_the_frame_that_was_leaving() {
        let usage = registry_usage();
        let mut counted = Counted::new(body(), Arc::clone(&usage));
        counted.frame().await.expect("a frame").expect("no error");
        counted.frame().await.expect("a frame").expect("no error");
        drop(counted);
        assert_eq!(usage.sent_so_far(), 3);
    }
}
