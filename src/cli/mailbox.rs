//! News from a thread that reads to the one that writes, without waking it for each.
//!
//! Waking a thread costs more than what most news are worth. The writer looks into the box now and then by itself; it is
//! woken only when the box fills up, and the reader waits only when it is full.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// News that may wait.
const ROOM: usize = 1024;
/// So many are worth waking somebody.
const MANY: usize = ROOM / 2;

/// One reader's box.
#[derive(Debug)]
pub struct Mailbox<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    emptied: Condvar,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    /// Nothing more will come.
    closed: bool,
    /// Nobody will look any more.
    abandoned: bool,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                closed: false,
                abandoned: false,
            }),
            filled: Condvar::new(),
            emptied: Condvar::new(),
        }
    }
}

impl<T> Mailbox<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // The other side cannot leave the box in disorder: it only pushes and pops.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts news in; waits while the box is full and somebody looks into it.
    pub fn put(&self, news: T) {
        let mut state = self
            .emptied
            .wait_while(self.lock(), |state| {
                state.waiting.len() >= ROOM && !state.abandoned
            })
            .unwrap_or_else(PoisonError::into_inner);
        if state.abandoned {
            return;
        }
        state.waiting.push_back(news);
        if state.waiting.len() == MANY {
            self.filled.notify_one();
        }
    }

    /// Nothing more will come.
    pub fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    /// Nobody will look any more: whoever waits to put something in goes on.
    pub fn abandon(&self) {
        let mut state = self.lock();
        state.abandoned = true;
        state.waiting.clear();
        drop(state);
        self.emptied.notify_one();
    }

    /// Takes everything out, after waiting for it as long as `tick`; `None` when nothing more will come.
    pub fn take(&self, tick: Duration) -> Option<VecDeque<T>> {
        let (mut state, _) = self
            .filled
            .wait_timeout_while(self.lock(), tick, |state| {
                state.waiting.len() < MANY && !state.closed
            })
            .unwrap_or_else(PoisonError::into_inner);
        if state.waiting.is_empty() && state.closed {
            return None;
        }
        let taken = std::mem::take(&mut state.waiting);
        drop(state);
        self.emptied.notify_one();
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::{Mailbox, ROOM};
    use std::time::Duration;

    const TICK: Duration = Duration::from_millis(5);

    #[test]
    fn everything_comes_out_in_order_and_then_nothing() {
        let mailbox = Mailbox::default();
        let got = std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..5 * ROOM {
                    mailbox.put(number);
                }
                mailbox.close();
            });
            let take = || mailbox.take(TICK);
            std::iter::from_fn(take).flatten().collect::<Vec<_>>()
        });
        assert_eq!(got, (0..5 * ROOM).collect::<Vec<_>>());
    }

    #[test]
    fn a_single_piece_of_news_is_not_held_back() {
        let mailbox = Mailbox::default();
        mailbox.put(1);
        assert_eq!(mailbox.take(TICK), Some([1].into()));
        assert_eq!(mailbox.take(TICK), Some([].into()));
    }

    #[test]
    fn nobody_waits_for_a_reader_who_has_gone() {
        let mailbox = Mailbox::default();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| (0..2 * ROOM).for_each(|number| mailbox.put(number)));
            std::thread::sleep(TICK);
            mailbox.abandon();
            assert!(writer.join().is_ok());
        });
    }
}
