//! A future that is finished even if nobody waits for it any more.
//!
//! When a client goes away, its connection drops the handler wherever it is. A
//! task of its own would not care, but each frame of an upload would be handed
//! from one task to another, mostly on another processor. [`Outlasting`] runs
//! in the connection's task, and becomes a task of its own when it is dropped.

use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::runtime::Handle;
use tracing::Instrument;

/// Runs a future to its end. Its output is `None` if the future panicked.
pub(super) struct Outlasting<T: Send + 'static> {
    /// `None` when it has ended.
    rest: Option<BoxFuture<'static, Option<T>>>,
}

impl<T: Send + 'static> Outlasting<T> {
    pub(super) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        let future = AssertUnwindSafe(future).catch_unwind();
        let rest = future.map(Result::ok).in_current_span();
        Self {
            rest: Some(Box::pin(rest)),
        }
    }
}

impl<T: Send + 'static> Future for Outlasting<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(rest) = &mut self.rest else {
            return Poll::Ready(None);
        };
        let output = std::task::ready!(rest.as_mut().poll(cx));
        self.rest = None;
        Poll::Ready(output)
    }
}

impl<T: Send + 'static> Drop for Outlasting<T> {
    fn drop(&mut self) {
        // Without a runtime the process is ending.
        if let Some(rest) = self.rest.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn it_gives_the_output_of_what_it_runs() {
        assert_eq!(Outlasting::new(async { 7 }).await, Some(7));
    }

    #[tokio::test]
    async fn what_is_dropped_half_way_comes_to_its_end() {
        let (go, gone) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        let mut outlasting = Outlasting::new(async move {
            gone.await.expect("a word");
            end.send(7).expect("a listener");
        });
        assert!(futures_util::poll!(&mut outlasting).is_pending());
        drop(outlasting);
        go.send(()).expect("it still runs");
        assert_eq!(ended.await, Ok(7));
    }

    #[tokio::test]
    async fn a_panic_is_an_output_of_none() {
        let panicking = Outlasting::new(async { panic!("of this test") });
        assert_eq!(panicking.await, None::<()>);
    }
}
