//! Work that is finished even if the client disconnects
//! (`docs/design.md`, "A started request runs to its end").
//!
//! A client that disconnects drops the future of its answer, perhaps in the middle of a commit. So the
//! work is polled in the task of the connection, without the cost of a spawn, and becomes a task of its own
//! only when it is dropped unfinished.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// A future that always runs to its end, and whose panics are returned as an error.
pub(super) struct RunToCompletion<F>(Option<Pin<Box<F>>>)
where
    F: Future + Send + 'static,
    F::Output: Send;

/// The work panicked; the panic hook has logged why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WorkPanicked;

impl<F> RunToCompletion<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    /// The work, which starts when it is first awaited or dropped.
    pub(super) fn new(work: F) -> Self {
        Self(Some(Box::pin(work)))
    }
}

impl<F> Future for RunToCompletion<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    type Output = Result<F::Output, WorkPanicked>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(work) = &mut self.0 else { return Poll::Ready(Err(WorkPanicked)) };
        // Unwind safety: the work is dropped after a panic and its state is not read.
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        let ended = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => Ok(result),
            Err(_) => Err(WorkPanicked),
        };
        self.0 = None;
        Poll::Ready(ended)
    }
}

impl<F> Drop for RunToCompletion<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn drop(&mut self) {
        // Outside of a runtime the work cannot continue: the process is about to end.
        if let Some(work) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            drop(runtime.spawn(work));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn work_is_finished_after_its_caller_disconnects() {
        let (go, gone) = oneshot::channel::<()>();
        let (done, finished) = oneshot::channel();
        let mut work = Box::pin(RunToCompletion::new(async move {
            gone.await.unwrap();
            done.send("committed").unwrap();
        }));
        let begun = work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(begun.is_pending());
        drop(work);
        go.send(()).unwrap();
        assert_eq!(finished.await, Ok("committed"));
    }

    #[tokio::test]
    async fn work_that_was_never_polled_is_finished_too() {
        let (done, finished) = oneshot::channel();
        drop(RunToCompletion::new(async move { done.send("committed").unwrap() }));
        assert_eq!(finished.await, Ok("committed"));
    }

    #[tokio::test]
    async fn a_panic_is_returned_to_the_caller() {
        let work = RunToCompletion::new(async {
            tokio::task::yield_now().await;
            assert_eq!(1, 2, "a bug");
        });
        assert_eq!(work.await, Err(WorkPanicked));
    }
}
