//! What a connection is doing, as its timer sees it.
//!
//! An [`Activity`] belongs to one connection. Times are milliseconds since the
//! connection began, plus one, so that zero can mean "not now". The socket
//! says when a head begins and when a write blocks; the service says when a
//! request begins and ends; [`Activity::verdict`] says what follows.
//!
//! Every field stands alone (nothing is read from two of them that must fit
//! together), so relaxed loads and stores are enough: a verdict that is late
//! by one poll is corrected at the next.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::Limits;

/// How long an idle connection that was asked to end may take for it, unless
/// `header_timeout` is shorter.
const CLOSING: Duration = Duration::from_secs(5);

/// How long a connection must have been idle before it may be closed to make
/// room for another.
const IDLE_BEFORE_SHEDDING: Duration = Duration::from_secs(1);

/// Something that sends an answer whose reader can stop reading.
pub(super) trait Answer: Send + Sync {
    /// Since when the client is to take what it was given.
    fn waiting_since(&self) -> Option<Instant>;
    /// Ends the answer and frees what it holds.
    fn cut(&self);
    /// Whether it was ended by [`Answer::cut`].
    fn is_cut(&self) -> bool;
}

/// The state of one connection.
pub(super) struct Activity {
    began: Instant,
    /// The first byte of a head was read, and its request not yet called.
    head_since: AtomicU64,
    /// No request is running.
    idle_since: AtomicU64,
    /// The socket takes no more bytes.
    blocked_since: AtomicU64,
    /// The connection was asked to end.
    closing_since: AtomicU64,
    running: AtomicUsize,
    http2: AtomicBool,
    /// A request body was not read to its end.
    unread_body: AtomicBool,
    /// The socket is to be reset instead of closed.
    reset: AtomicBool,
    /// The socket has sent enough for one turn.
    yields: AtomicBool,
    /// HTTP/2 answers in flight. A std mutex: held for a push, a removal or one
    /// look at each, and never across an await.
    answers: Mutex<Vec<Arc<dyn Answer>>>,
}

/// What the timer of a connection has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Look again then.
    Wait(Instant),
    /// Idle, and may be closed for another connection; look again then.
    Spare(Instant),
    /// Idle for too long: ask it to end.
    Close,
    /// Cut it off.
    Cut(&'static str),
}

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            head_since: AtomicU64::new(0),
            idle_since: AtomicU64::new(1),
            blocked_since: AtomicU64::new(0),
            closing_since: AtomicU64::new(0),
            running: AtomicUsize::new(0),
            http2: AtomicBool::new(false),
            unread_body: AtomicBool::new(false),
            reset: AtomicBool::new(false),
            yields: AtomicBool::new(false),
            answers: Mutex::new(Vec::new()),
        }
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64 + 1
    }

    fn instant(&self, mark: &AtomicU64) -> Option<Instant> {
        let millis = mark.load(Relaxed).checked_sub(1)?;
        Some(self.began + Duration::from_millis(millis))
    }

    fn mark(&self, mark: &AtomicU64) {
        if mark.load(Relaxed) == 0 {
            mark.store(self.now(), Relaxed);
        }
    }

    /// Bytes came in. Between requests of HTTP/1 they begin a head; what an
    /// HTTP/2 client sends between requests (pings, settings) does not.
    pub(super) fn bytes_read(&self) {
        if self.running.load(Relaxed) == 0 && !self.http2.load(Relaxed) {
            self.mark(&self.head_since);
        }
    }

    /// The connection speaks HTTP/2.
    pub(super) fn is_http2(&self) {
        self.http2.store(true, Relaxed);
        self.head_since.store(0, Relaxed);
    }

    /// The task shall let others run; it has woken itself.
    pub(super) fn yields(&self) {
        self.yields.store(true, Relaxed);
    }

    /// Whether [`yields`](Self::yields) was called since the last look.
    pub(super) fn take_yield(&self) -> bool {
        self.yields.load(Relaxed) && self.yields.swap(false, Relaxed)
    }

    pub(super) fn write_blocked(&self) {
        self.mark(&self.blocked_since);
    }

    pub(super) fn write_moved(&self) {
        if self.blocked_since.load(Relaxed) != 0 {
            self.blocked_since.store(0, Relaxed);
        }
    }

    pub(super) fn request_began(&self) {
        self.running.fetch_add(1, Relaxed);
        self.head_since.store(0, Relaxed);
        self.idle_since.store(0, Relaxed);
    }

    pub(super) fn request_ended(&self) {
        if self.running.fetch_sub(1, Relaxed) == 1 {
            self.idle_since.store(self.now(), Relaxed);
        }
    }

    pub(super) fn answer_began(&self, answer: Arc<dyn Answer>) {
        self.lock_answers().push(answer);
    }

    pub(super) fn answer_ended(&self, answer: *const ()) {
        let mut answers = self.lock_answers();
        if let Some(index) = answers
            .iter()
            .position(|other| Arc::as_ptr(other).cast::<()>() == answer)
        {
            answers.swap_remove(index);
        }
    }

    fn lock_answers(&self) -> std::sync::MutexGuard<'_, Vec<Arc<dyn Answer>>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection was asked to end: what is idle has [`CLOSING`] for it.
    pub(super) fn closing(&self) {
        self.mark(&self.closing_since);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing_since.load(Relaxed) != 0
    }

    pub(super) fn set_unread_body(&self, unread: bool) {
        self.unread_body.store(unread, Relaxed);
    }

    /// Whether the client is still to send, or we to read, a body.
    pub(super) fn has_unread_body(&self) -> bool {
        self.unread_body.load(Relaxed)
    }

    /// Whether closing now could destroy an answer that is on its way: bytes
    /// that nobody reads make the kernel reset the connection.
    pub(super) fn should_linger(&self) -> bool {
        self.unread_body.load(Relaxed) && !self.http2.load(Relaxed) && !self.reset.load(Relaxed)
    }

    pub(super) fn reset(&self) {
        self.reset.store(true, Relaxed);
    }

    pub(super) fn is_reset(&self) -> bool {
        self.reset.load(Relaxed)
    }

    /// Looks at everything that has a deadline. Answers that nobody reads are
    /// cut on the way.
    pub(super) fn verdict(&self, now: Instant, limits: &Limits) -> Verdict {
        if let Some(since) = self.instant(&self.blocked_since) {
            let until = since + limits.progress_timeout;
            if until <= now {
                return Verdict::Cut("the client does not read its answer");
            }
            return Verdict::Wait(until);
        }
        if let Some(since) = self.instant(&self.head_since) {
            let until = since + limits.header_timeout;
            if until <= now {
                return Verdict::Cut("the request head took too long");
            }
            return Verdict::Wait(until);
        }
        let Some(idle_since) = self.instant(&self.idle_since) else {
            return self.answers_verdict(now, limits);
        };
        if let Some(closing_since) = self.instant(&self.closing_since) {
            let until = closing_since.max(idle_since) + CLOSING.min(limits.header_timeout);
            if until <= now {
                return Verdict::Cut("the client does not end the connection");
            }
            return Verdict::Wait(until);
        }
        let until = idle_since + limits.idle_timeout;
        let spare = idle_since + IDLE_BEFORE_SHEDDING;
        if until <= now {
            Verdict::Close
        } else if spare <= now {
            Verdict::Spare(until)
        } else {
            Verdict::Wait(until.min(spare))
        }
    }

    fn answers_verdict(&self, now: Instant, limits: &Limits) -> Verdict {
        let mut next = now + limits.progress_timeout;
        let mut cut = Vec::new();
        let mut dead = 0;
        {
            let answers = self.lock_answers();
            for answer in answers.iter() {
                if answer.is_cut() {
                    dead += 1;
                } else if let Some(since) = answer.waiting_since() {
                    let until = since + limits.progress_timeout;
                    if until <= now {
                        cut.push(Arc::clone(answer));
                    } else {
                        next = next.min(until);
                    }
                }
            }
        }
        dead += cut.len();
        for answer in cut {
            answer.cut();
        }
        if dead > 0 && dead == self.running.load(Relaxed) {
            return Verdict::Cut("the client reads none of its answers");
        }
        Verdict::Wait(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(100),
            progress_timeout: Duration::from_secs(50),
            ..Limits::default()
        }
    }

    fn after(activity: &Activity, seconds: u64) -> Verdict {
        activity.verdict(Instant::now() + Duration::from_secs(seconds), &limits())
    }

    #[test]
    fn an_idle_connection_is_first_spare_and_then_closed() {
        let activity = Activity::new();
        assert!(matches!(after(&activity, 0), Verdict::Wait(_)));
        assert!(matches!(after(&activity, 2), Verdict::Spare(_)));
        assert_eq!(after(&activity, 101), Verdict::Close);
    }

    #[test]
    fn a_started_head_must_end_in_time() {
        let activity = Activity::new();
        activity.bytes_read();
        assert!(matches!(after(&activity, 9), Verdict::Wait(_)));
        assert!(matches!(after(&activity, 11), Verdict::Cut(_)));
        activity.request_began();
        assert!(matches!(after(&activity, 1000), Verdict::Wait(_)));
    }

    #[test]
    fn pings_of_an_idle_http_2_client_are_not_a_head() {
        let activity = Activity::new();
        activity.bytes_read();
        activity.is_http2();
        activity.bytes_read();
        assert!(matches!(after(&activity, 11), Verdict::Spare(_)));
    }

    #[test]
    fn a_blocked_write_is_cut_off_unless_it_moves() {
        let activity = Activity::new();
        activity.request_began();
        activity.write_blocked();
        assert!(matches!(after(&activity, 51), Verdict::Cut(_)));
        activity.write_moved();
        assert!(matches!(after(&activity, 51), Verdict::Wait(_)));
    }

    #[test]
    fn a_connection_that_was_asked_to_end_must_do_so() {
        let activity = Activity::new();
        activity.request_began();
        activity.closing();
        assert!(matches!(after(&activity, 40), Verdict::Wait(_)));
        activity.request_ended();
        assert!(matches!(after(&activity, 4), Verdict::Wait(_)));
        assert!(matches!(after(&activity, 6), Verdict::Cut(_)));
    }
}
