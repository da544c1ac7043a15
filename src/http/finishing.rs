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

/// A future that ends once it was made, and whose panics are a result.
pub(super) struct RunToCompletion<F>(Option<Pin<Box<F>>>)
where
    F: Future + Send + 'static,
    F::Output: Send;

/// The work ended abnormally; the panic hook has told why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Panicked;

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
    type Output = Result<F::Output, Panicked>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(work) = &mut self.0 else { return Poll::Ready(Err(Panicked)) };
        // Nothing is looked at after a panic: the work is dropped with whatever it left.
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        let ended = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => Ok(result),
            Err(_) => Err(Panicked),
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
        // Outside of a runtime nothing can be finished: the process is about to end.
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
    async fn work_whose_caller_hung_up_is_finished() {
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
    async fn work_that_was_never_waited_for_is_done_all_the_same() {
        let (done, finished) = oneshot::channel();
        drop(RunToCompletion::new(async move { done.send("committed").unwrap() }));
        assert_eq!(finished.await, Ok("committed"));
    }

    #[tokio::test]
    async fn a_panic_is_told_to_the_caller_and_ends_nothing_else() {
        let work = RunToCompletion::new(async {
            tokio::task::yield_now().await;
            assert_eq!(1, 2, "a fault of ours");
        });
        assert_eq!(work.await, Err(Panicked));
    }
}
