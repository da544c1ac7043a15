//! Work of the same kind that is done together, step by step.
//!
//! A step that finds its code in the cache takes a fraction of the time of one that does not. So
//! those who arrive together leave their work in a row, and whoever has the next turn does a piece
//! of the row: the first step for all of it, then the second one. Nobody waits for a row to
//! fill, and no task is made: who comes alone does his own work in his own turn.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use tokio::sync::oneshot;
use tokio::task::yield_now;

/// Work that waits, and where what comes of it goes.
#[derive(Debug)]
pub(super) struct Row<Work, Made> {
    waiting: Mutex<Waiting<Work, Made>>,
    /// How many may take pieces at the same time.
    threads: NonZero<usize>,
}

/// In the order in which they came.
#[derive(Debug)]
struct Waiting<Work, Made> {
    entries: VecDeque<Entry<Work, Made>>,
    /// How many have left the row, ever.
    left: u64,
}

type Entry<Work, Made> = (Work, oneshot::Sender<Made>);

/// Somebody else had the turn, and it ended abnormally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost;

/// The longest piece: a millisecond of one core, with certificates that an EC key signs.
const PIECE: usize = 16;

impl<Work, Made> Default for Row<Work, Made> {
    fn default() -> Self {
        Self::new(available_parallelism().unwrap_or(NonZero::<usize>::MIN))
    }
}

impl<Work, Made> Row<Work, Made> {
    fn new(threads: NonZero<usize>) -> Self {
        let waiting = Waiting { entries: VecDeque::new(), left: 0 };
        Self { waiting: Mutex::new(waiting), threads }
    }

    /// What comes of this work. `make` does a piece of the row and answers in its order.
    ///
    /// # Errors
    /// [`Lost`] if `make` panicked in the turn of another.
    pub(super) async fn join(
        &self,
        work: Work,
        make: impl Fn(Vec<Work>) -> Vec<Made>,
    ) -> Result<Made, Lost> {
        let (sender, receiver) = oneshot::channel();
        let before = self.take_in((work, sender));
        // What arrived together comes in before anything of it is done.
        yield_now().await;
        while let Some(piece) = self.piece(before) {
            let (works, senders): (Vec<_>, Vec<_>) = piece.into_iter().unzip();
            for (made, sender) in make(works).into_iter().zip(senders) {
                // Who went away needs nothing.
                let _ = sender.send(made);
            }
        }
        receiver.await.map_err(|_| Lost)
    }

    /// How many came before.
    fn take_in(&self, entry: Entry<Work, Made>) -> u64 {
        let mut waiting = self.waiting();
        let before = waiting.left.wrapping_add(waiting.entries.len() as u64);
        waiting.entries.push_back(entry);
        before
    }

    /// The front of the row, unless who came after so many has left it. Each thread gets its part.
    fn piece(&self, before: u64) -> Option<Vec<Entry<Work, Made>>> {
        let mut waiting = self.waiting();
        if before < waiting.left {
            return None;
        }
        let part = waiting.entries.len().div_ceil(self.threads.get());
        let piece: Vec<_> = waiting.entries.drain(..part.min(PIECE)).collect();
        waiting.left = waiting.left.wrapping_add(piece.len() as u64);
        Some(piece)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<Work, Made>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn row(threads: usize) -> Row<u32, u32> {
        Row::new(NonZero::new(threads).unwrap())
    }

    /// Doubles each, and notes which were done together.
    fn doubled(pieces: &RefCell<Vec<Vec<u32>>>, piece: Vec<u32>) -> Vec<u32> {
        let made = piece.iter().map(|work| work * 2).collect();
        pieces.borrow_mut().push(piece);
        made
    }

    #[tokio::test]
    async fn those_who_came_together_are_done_together_by_who_has_the_first_turn() {
        let (row, pieces) = (row(1), RefCell::default());
        let mut waiting = arrived(&row, 3, &pieces);
        assert_eq!(once(waiting[1].as_mut()), Poll::Ready(Ok(2)));
        assert_eq!(*pieces.borrow(), [[0, 1, 2]]);
        assert_eq!(once(waiting[0].as_mut()), Poll::Ready(Ok(0)));
        assert_eq!(once(waiting[2].as_mut()), Poll::Ready(Ok(4)));
        assert_eq!(row.join(7, |piece| doubled(&pieces, piece)).await, Ok(14));
        assert_eq!(*pieces.borrow(), [vec![0, 1, 2], vec![7]]);
    }

    /// So many who came together, with their numbers as their work.
    fn arrived<'a>(
        row: &'a Row<u32, u32>,
        count: u32,
        pieces: &'a RefCell<Vec<Vec<u32>>>,
    ) -> Vec<Pin<Box<impl Future<Output = Result<u32, Lost>> + 'a>>> {
        let join = |work| Box::pin(row.join(work, |piece| doubled(pieces, piece)));
        let mut waiting: Vec<_> = (0..count).map(join).collect();
        for one in &mut waiting {
            assert!(once(one.as_mut()).is_pending());
        }
        waiting
    }

    #[tokio::test]
    async fn of_a_long_row_who_has_the_turn_does_pieces_until_he_has_his_own() {
        let (row, pieces) = (row(1), RefCell::default());
        let mut waiting = arrived(&row, 40, &pieces);
        assert_eq!(once(waiting[20].as_mut()), Poll::Ready(Ok(40)));
        let lengths: Vec<_> = pieces.borrow().iter().map(Vec::len).collect();
        assert_eq!(lengths, [PIECE, PIECE]);
        assert_eq!(once(waiting[39].as_mut()), Poll::Ready(Ok(78)));
        assert_eq!(pieces.borrow().concat(), (0..40).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn each_thread_does_its_part_of_a_short_row() {
        let (row, pieces) = (row(4), RefCell::default());
        let mut waiting = arrived(&row, 6, &pieces);
        assert_eq!(once(waiting[0].as_mut()), Poll::Ready(Ok(0)));
        assert_eq!(*pieces.borrow(), [[0, 1]]);
    }

    #[tokio::test]
    async fn the_work_of_who_went_away_is_done_and_harms_nobody() {
        let (row, pieces) = (row(1), RefCell::default());
        let mut stays = pin!(row.join(2, |piece| doubled(&pieces, piece)));
        {
            let mut goes = pin!(row.join(1, |piece| doubled(&pieces, piece)));
            assert!(once(goes.as_mut()).is_pending());
            assert!(once(stays.as_mut()).is_pending());
        }
        assert_eq!(once(stays), Poll::Ready(Ok(4)));
        assert_eq!(*pieces.borrow(), [[1, 2]]);
    }

    #[tokio::test]
    async fn a_panic_in_one_turn_is_told_to_all_whose_work_was_in_it_and_to_nobody_else() {
        let row = row(1);
        let make = |piece: Vec<u32>| {
            assert!(!piece.contains(&13), "a fault of ours");
            piece
        };
        let [mut one, mut two] = [13, 2].map(|work| Box::pin(row.join(work, make)));
        assert!(once(one.as_mut()).is_pending() && once(two.as_mut()).is_pending());
        assert!(catch_unwind(AssertUnwindSafe(|| once(one.as_mut()))).is_err());
        assert_eq!(once(two.as_mut()), Poll::Ready(Err(Lost)));
        assert_eq!(row.join(3, make).await, Ok(3));
    }
}
