//! A task that wakes itself while it runs.
//!
//! hyper hands each frame of a request's body from its connection to the
//! handler, and that wakes the handler, which is part of the same task. For
//! tokio a task that was woken while it ran has yielded: it queues the task
//! again and wakes another thread to come and take it. With two processors that
//! was a tenth of what an upload cost.
//!
//! [`OwnWakes`] keeps such a wake for itself and polls once more instead,
//! unless the task means it: it has used up what one turn may do, or says so.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// So often one turn polls.
const ROUNDS: usize = 16;

/// Nobody polls: a wake goes to the task.
const IDLE: u8 = 0;
/// The task is being polled: a wake is noted.
const POLLING: u8 = 1;
/// A wake was noted.
const WOKEN: u8 = 2;

/// Polls a part of a task with a waker that knows whether the task runs.
pub(super) struct OwnWakes {
    inner: Arc<Inner>,
    waker: Waker,
}

struct Inner {
    state: AtomicU8,
    // Held for a comparison or a clone.
    task: Mutex<Waker>,
}

impl OwnWakes {
    pub(super) fn new() -> Self {
        let inner = Arc::new(Inner {
            state: AtomicU8::new(IDLE),
            task: Mutex::new(Waker::noop().clone()),
        });
        let waker = Waker::from(Arc::clone(&inner));
        Self { inner, waker }
    }

    /// Polls `part`, and again if it was woken meanwhile and `may_go_on`.
    pub(super) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        mut part: impl FnMut(&mut Context<'_>) -> Poll<T>,
        may_go_on: impl Fn() -> bool,
    ) -> Poll<T> {
        {
            let mut task = self.inner.task();
            if !task.will_wake(cx.waker()) {
                task.clone_from(cx.waker());
            }
        }
        let mut ours = Context::from_waker(&self.waker);
        for _ in 0..ROUNDS {
            self.inner.state.store(POLLING, Ordering::SeqCst);
            if let Poll::Ready(value) = part(&mut ours) {
                self.inner.state.store(IDLE, Ordering::SeqCst);
                return Poll::Ready(value);
            }
            if self.inner.state.swap(IDLE, Ordering::SeqCst) != WOKEN {
                return Poll::Pending;
            }
            if !may_go_on() {
                break;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Inner {
    fn task(&self) -> std::sync::MutexGuard<'_, Waker> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Inner {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let noted = self
            .state
            .compare_exchange(POLLING, WOKEN, Ordering::SeqCst, Ordering::SeqCst);
        if noted == Err(IDLE) {
            let task = self.task().clone();
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::task::coop;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Polls a part that wakes itself in its first `wakes` polls; returns the
    /// number of polls, the wakes that reached the task, and the part's waker.
    fn polled(wakes: usize, may_go_on: bool) -> (usize, Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        let task = Waker::from(Arc::clone(&count));
        let own = OwnWakes::new();
        let mut polls = 0;
        let mut kept = Waker::noop().clone();
        let part = |cx: &mut Context<'_>| {
            polls += 1;
            kept.clone_from(cx.waker());
            if polls <= wakes {
                cx.waker().wake_by_ref();
            }
            Poll::<()>::Pending
        };
        let pending = own.poll(&mut Context::from_waker(&task), part, || may_go_on);
        assert!(pending.is_pending());
        (polls, count, kept)
    }

    #[test]
    fn a_wake_while_it_runs_polls_once_more_and_stays_inside() {
        let (polls, count, _) = polled(1, true);
        assert_eq!((polls, count.0.load(Ordering::SeqCst)), (2, 0));
    }

    #[test]
    fn who_wakes_itself_each_time_yields() {
        let (polls, count, _) = polled(usize::MAX, true);
        assert_eq!((polls, count.0.load(Ordering::SeqCst)), (ROUNDS, 1));
    }

    #[test]
    fn who_may_not_go_on_yields() {
        let (polls, count, _) = polled(1, false);
        assert_eq!((polls, count.0.load(Ordering::SeqCst)), (1, 1));
    }

    #[test]
    fn a_wake_while_it_waits_reaches_the_task() {
        let (polls, count, waker) = polled(0, true);
        assert_eq!((polls, count.0.load(Ordering::SeqCst)), (1, 0));
        waker.wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn no_wake_of_another_thread_is_lost() {
        let own = OwnWakes::new();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
            let sending = tokio::spawn(async move {
                for number in 0..20_000 {
                    sender.send(number).await.expect("a receiver");
                }
            });
            let mut next = 0;
            let mut receive = |cx: &mut Context<'_>| {
                while let Some(number) = std::task::ready!(receiver.poll_recv(cx)) {
                    assert_eq!(number, next);
                    next += 1;
                }
                Poll::Ready(())
            };
            std::future::poll_fn(|cx| own.poll(cx, &mut receive, coop::has_budget_remaining)).await;
            assert_eq!(next, 20_000);
            sending.await.expect("it sends all");
        });
    }
}
