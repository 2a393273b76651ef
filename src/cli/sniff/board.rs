//! What the threads let each other know besides packets and records. Nobody waits here.

use super::enforce::Enforced;
use crate::cli::output;
use crate::model::{Listening, Summary};
use crate::ruleset::RuleSet;
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Notices that nobody has read yet; more are let go.
const MAX_NOTICES: usize = 256;

/// The board.
#[derive(Debug, Default)]
pub struct Board {
    /// Listening is to end.
    pub stop: Arc<AtomicBool>,
    /// Somebody wants statistics.
    pub asked: AtomicBool,
    /// Nobody reads stdout any more.
    pub unread: AtomicBool,
    /// Records that were not written.
    pub lost_records: AtomicU64,
    /// Packets that were not saved.
    pub lost_packets: AtomicU64,
    /// News that the screen had no room for.
    pub lost_news: AtomicU64,
    /// Records that were written: a sign of life.
    pub written: AtomicU64,
    /// Rounds of whoever listens: a sign of life.
    pub rounds: AtomicU64,
    /// What was done about what was found.
    pub enforced: Enforced,
    notices: Mutex<Vec<String>>,
    answer: Mutex<Option<Summary>>,
    latest: Mutex<(Option<Instant>, Summary)>,
    /// A screen is shown, and what would go to stderr is for it: `None` when there is none.
    for_screen: Mutex<Option<Vec<String>>>,
    rules: Mutex<Option<Arc<RuleSet>>>,
    has_rules: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Values are replaced as a whole: they are in order even if somebody panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Board {
    /// An empty one; listening ends when `stop` is set.
    pub fn new(stop: Arc<AtomicBool>) -> Self {
        Self {
            stop,
            ..Self::default()
        }
    }

    /// Whether listening is to end.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Something for stderr.
    pub fn say(&self, notice: String) {
        let mut notices = lock(&self.notices);
        if notices.len() < MAX_NOTICES {
            notices.push(notice);
        }
    }

    /// What is for stderr since last time.
    fn notices(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.notices))
    }

    /// Statistics, for whoever asked.
    pub fn answer(&self, summary: Summary) {
        *lock(&self.answer) = Some(summary);
    }

    /// The answer, if it is there.
    pub fn take_answer(&self) -> Option<Summary> {
        lock(&self.answer).take()
    }

    /// Statistics of the last second, for whoever may come.
    pub fn post(&self, summary: Summary) {
        *lock(&self.latest) = (Some(Instant::now()), summary);
    }

    /// The statistics that were posted last.
    pub fn latest(&self) -> Summary {
        lock(&self.latest).1.clone()
    }

    /// The same, and when that was.
    #[cfg(feature = "tui")]
    pub fn posted(&self) -> (Option<Instant>, Summary) {
        lock(&self.latest).clone()
    }

    /// From now on, what would go to stderr is for a screen.
    #[cfg(feature = "tui")]
    pub fn show(&self) {
        *lock(&self.for_screen) = Some(Vec::new());
    }

    /// The screen is closed.
    #[cfg(feature = "tui")]
    pub fn unshow(&self) {
        lock(&self.for_screen).take();
    }

    /// What is for the screen since last time.
    #[cfg(feature = "tui")]
    pub fn shown(&self) -> Vec<String> {
        let mut notices = lock(&self.for_screen);
        notices.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Says this now: on stderr, or on the screen if that is what stderr would be written over.
    pub fn tell(&self, notice: &str) {
        let mut notices = lock(&self.for_screen);
        if let Some(notices) = notices.as_mut() {
            if notices.len() < MAX_NOTICES {
                notices.push(notice.to_owned());
            }
            if io::stderr().is_terminal() {
                return;
            }
        }
        drop(notices);
        output::complain(notice);
    }

    /// Says what is for stderr since last time.
    pub fn tell_notices(&self) {
        for notice in self.notices() {
            self.tell(&notice);
        }
    }

    /// Whether a screen is shown.
    pub fn is_shown(&self) -> bool {
        lock(&self.for_screen).is_some()
    }

    /// Other rules.
    pub fn post_rules(&self, rules: RuleSet) {
        *lock(&self.rules) = Some(Arc::new(rules));
        self.has_rules.store(true, Ordering::Release);
    }

    /// Other rules, if there are.
    pub fn take_rules(&self) -> Option<Arc<RuleSet>> {
        if !self.has_rules.swap(false, Ordering::Acquire) {
            return None;
        }
        lock(&self.rules).take()
    }

    /// Fills in what was not written, and what was done.
    pub fn losses(&self, listening: &mut Listening) {
        listening.enforced = self.enforced.numbers();
        listening.lost_records = self.lost_records.load(Ordering::Relaxed);
        listening.lost_packets = self.lost_packets.load(Ordering::Relaxed);
    }
}
