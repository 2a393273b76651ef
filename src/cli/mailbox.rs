//! News from a thread that reads to the one that writes, without waking it for each.
//!
//! Waking a thread costs more than what most news are worth. The writer looks into the box now and then by itself; it is
//! woken only when the box fills up, and the reader waits only when it is full, or not even then ([`Mailbox::offer`]).

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// News that may wait.
const ROOM: usize = 1024;

/// One reader's box.
#[derive(Debug)]
pub struct Mailbox<T> {
    /// News that may wait. Half of that is worth waking somebody.
    room: usize,
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
        Self::with_room(ROOM)
    }
}

impl<T> Mailbox<T> {
    /// A box for so many.
    pub fn with_room(room: usize) -> Self {
        Self {
            room,
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                closed: false,
                abandoned: false,
            }),
            filled: Condvar::new(),
            emptied: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // The other side cannot leave the box in disorder: it only pushes and pops.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts news in; waits while the box is full and somebody looks into it.
    pub fn put(&self, news: T) {
        let mut state = self
            .emptied
            .wait_while(self.lock(), |state| {
                state.waiting.len() >= self.room && !state.abandoned
            })
            .unwrap_or_else(PoisonError::into_inner);
        self.push(&mut state, news);
    }

    /// Puts news in if there is room, and waits no longer for it than this; whether they are in.
    pub fn offer(&self, news: T, patience: Duration) -> bool {
        let full = |state: &mut State<T>| state.waiting.len() >= self.room && !state.abandoned;
        let mut state = self.lock();
        if full(&mut state) && !patience.is_zero() {
            (state, _) = self
                .emptied
                .wait_timeout_while(state, patience, full)
                .unwrap_or_else(PoisonError::into_inner);
        }
        !full(&mut state) && self.push(&mut state, news)
    }

    fn push(&self, state: &mut State<T>, news: T) -> bool {
        if state.abandoned {
            return false;
        }
        state.waiting.push_back(news);
        if state.waiting.len() == self.room / 2 {
            self.filled.notify_one();
        }
        true
    }

    /// Nothing more will come.
    pub fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    /// Nobody will look any more: whoever waits to put something in goes on. How much was in it.
    pub fn abandon(&self) -> usize {
        let mut state = self.lock();
        state.abandoned = true;
        let waiting = std::mem::take(&mut state.waiting).len();
        drop(state);
        self.emptied.notify_one();
        waiting
    }

    /// Takes everything out, after waiting for it as long as `tick`; `None` when nothing more will come.
    pub fn take(&self, tick: Duration) -> Option<VecDeque<T>> {
        let (mut state, _) = self
            .filled
            .wait_timeout_while(self.lock(), tick, |state| {
                state.waiting.len() < self.room / 2 && !state.closed
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
    fn what_is_offered_to_a_full_box_comes_back() {
        let mailbox = Mailbox::with_room(4);
        let fit: Vec<bool> = (0..6).map(|n| mailbox.offer(n, Duration::ZERO)).collect();
        assert_eq!(fit, [true, true, true, true, false, false]);
        assert!(!mailbox.offer(6, TICK));
        assert_eq!(mailbox.take(TICK), Some([0, 1, 2, 3].into()));
        assert!(mailbox.offer(7, Duration::ZERO));
        mailbox.abandon();
        assert!(!mailbox.offer(8, Duration::ZERO));
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
