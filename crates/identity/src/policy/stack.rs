//! Work whose need of stack depends on what somebody wrote.

/// The stack of a thread that reads policies: much more than they need within
/// the limits that [`super::guard`] sets.
pub(super) const STACK: usize = 16 * 1024 * 1024;

/// Does it on a thread of its own. `None` if that is not to be had, or if the
/// work panics.
pub(super) async fn deep<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let done = tokio::task::spawn_blocking(move || {
        let thread = std::thread::Builder::new().stack_size(STACK);
        thread.spawn(work).ok()?.join().ok()
    });
    done.await.ok().flatten()
}
