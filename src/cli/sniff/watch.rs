//! Looks after the threads: signals, notices, the service manager, the end.

use super::board::Board;
use super::listen::Heard;
use super::record::Record;
use crate::cli::mailbox::Mailbox;
use crate::cli::{DONE, PERMISSION, UNREADABLE, output};
use crate::model::Summary;
use crate::report;
use crate::ruleset::{RuleSet, RulesError};
use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGTERM, SIGUSR1};
use signal_hook::flag;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Time between two looks.
const TICK: Duration = Duration::from_millis(50);
/// Whoever writes is given up when nothing was written for so long, at the end.
const PATIENCE: Duration = Duration::from_secs(10);
/// Exit code of a program that SIGTERM ended, as shells have it.
const TERMINATED: i32 = 143;

/// Who works.
pub struct Threads {
    /// Listens.
    pub listener: JoinHandle<Heard>,
    /// Writes records; nobody does if there is only a screen.
    pub writer: Option<JoinHandle<()>>,
    /// Saves packets.
    pub saver: Option<JoinHandle<()>>,
    /// Has what is found refused.
    pub enforcer: Option<JoinHandle<()>>,
    /// Closes the screen, if there is one.
    pub screen: Option<Box<dyn FnOnce()>>,
}

impl Threads {
    /// Whether one who writes has ended before there was nothing to write any more.
    fn has_lost_a_writer(&self) -> bool {
        let mut writers = [&self.writer, &self.saver].into_iter().flatten();
        writers.any(JoinHandle::is_finished)
    }

    /// Waits until the firewall is as it was before.
    fn have_let_go(&self, board: &Board) {
        let begun = Instant::now();
        let busy = |it: &JoinHandle<()>| !it.is_finished();
        while self.enforcer.as_ref().is_some_and(busy) && begun.elapsed() < PATIENCE {
            thread::sleep(TICK / 5);
        }
        board.tell_notices();
    }

    /// Waits for the writers as long as they get on; whether they are done.
    fn have_written(&self, board: &Board) -> bool {
        let mut seen = (board.written.load(Ordering::Relaxed), Instant::now());
        loop {
            let mut writers = [&self.writer, &self.saver].into_iter().flatten();
            if writers.all(JoinHandle::is_finished) {
                return true;
            }
            let now = board.written.load(Ordering::Relaxed);
            if now != seen.0 {
                seen = (now, Instant::now());
            }
            if seen.1.elapsed() >= PATIENCE {
                return false;
            }
            board.tell_notices();
            thread::sleep(TICK / 5);
        }
    }
}

/// Signals that were heard.
pub struct Watch {
    reload: Arc<AtomicBool>,
    statistics: Arc<AtomicBool>,
    /// The service manager wants a sign of life so often.
    watchdog: Option<Duration>,
}

impl Watch {
    /// Listens for signals. SIGTERM sets `stop` as Ctrl-C does; a second one ends the program, unless it has a terminal to give
    /// back (`tidy`).
    pub fn new(stop: &Arc<AtomicBool>, tidy: bool) -> io::Result<Self> {
        let watch = Self {
            reload: Arc::default(),
            statistics: Arc::default(),
            watchdog: sd_notify::watchdog_enabled(),
        };
        if !tidy {
            flag::register_conditional_shutdown(SIGTERM, TERMINATED, Arc::clone(stop))?;
        }
        flag::register(SIGTERM, Arc::clone(stop))?;
        flag::register(SIGHUP, Arc::clone(&watch.reload))?;
        flag::register(SIGUSR1, Arc::clone(&watch.statistics))?;
        Ok(watch)
    }

    /// Looks after them until all is written; the exit code.
    pub fn over(
        &self,
        mut threads: Threads,
        board: &Board,
        records: &Mailbox<Record>,
        reload: &dyn Fn() -> Result<Option<RuleSet>, RulesError>,
        closing: bool,
    ) -> u8 {
        let _ = sd_notify::notify(&[NotifyState::Ready]);
        let mut alive = Instant::now();
        let mut rounds = 0;
        while !threads.listener.is_finished() {
            board.tell_notices();
            if threads.has_lost_a_writer() {
                board.stop.store(true, Ordering::Relaxed);
            }
            if self.reload.swap(false, Ordering::Relaxed) {
                let _ = sd_notify::notify(&[NotifyState::Reloading]);
                match reload() {
                    Ok(Some(rules)) => {
                        board.post_rules(rules);
                        board.tell("SIGHUP: the rules were read again and are in force");
                    }
                    Ok(None) => board.tell(
                        "SIGHUP: the built-in rules are in force; --rules DIR names others that can be read again",
                    ),
                    Err(error) => {
                        board.tell(&format!("SIGHUP: the old rules stay in force: {error}"));
                    }
                }
                let _ = sd_notify::notify(&[NotifyState::Ready]);
            }
            if self.statistics.swap(false, Ordering::Relaxed) {
                board.asked.store(true, Ordering::Relaxed);
            }
            if let Some(summary) = board.take_answer() {
                board.tell(&(statistics(&summary) + &board.enforced.words()));
            }
            // Only if whoever listens is alive as well, and whoever holds packets, without whom new connections would wait.
            if let Some(limit) = self.watchdog
                && !board.enforced.silent.load(Ordering::Relaxed)
                && alive.elapsed() >= limit / 3
                && board.rounds.load(Ordering::Relaxed) != rounds
            {
                rounds = board.rounds.load(Ordering::Relaxed);
                alive = Instant::now();
                let _ = sd_notify::notify(&[NotifyState::Watchdog]);
            }
            thread::sleep(TICK);
        }
        let _ = sd_notify::notify(&[NotifyState::Stopping]);
        if let Some(close) = threads.screen.take() {
            close();
        }
        let written = threads.have_written(board);
        if !written {
            // And the one that it is at.
            let waiting = records.abandon() as u64 + 1;
            board.lost_records.fetch_add(waiting, Ordering::Relaxed);
        }
        threads.have_let_go(board);
        let broken = |name: &str| {
            output::complain(&format!(
                "the thread that {name} failed: this is a mistake in imwarden"
            ));
            UNREADABLE
        };
        // One that still writes is not waited for.
        for (thread, work) in [(threads.writer, "writes"), (threads.saver, "saves packets")] {
            if let Some(thread) = thread.filter(JoinHandle::is_finished)
                && thread.join().is_err()
            {
                return broken(work);
            }
        }
        let Ok(Heard {
            mut summary,
            failed,
        }) = threads.listener.join()
        else {
            return broken("listens");
        };
        if let Some(listening) = &mut summary.listening {
            board.losses(listening);
        }
        if board.unread.load(Ordering::Relaxed) && failed.is_none() {
            return DONE;
        }
        let lost = summary
            .listening
            .is_some_and(|it| it.lost_records + it.lost_packets > 0);
        // What was to sum up on stdout may be among what was lost.
        if closing || !written || lost {
            output::complain(&(report::totals(&summary) + &board.enforced.words()));
            if let Some(listening) = &summary.listening {
                output::complain(&report::losses(listening));
            }
        } else if let Some(done) = board.enforced.words().strip_prefix("; ") {
            output::complain(done);
        }
        if !written {
            output::complain("nobody reads what is written: not all of it was");
        }
        if let Some(error) = failed {
            output::complain(&error.to_string());
            return PERMISSION;
        }
        if written && !lost { DONE } else { UNREADABLE }
    }
}

fn statistics(summary: &Summary) -> String {
    let mut text = report::totals(summary);
    if let Some(listening) = &summary.listening {
        text = format!(
            "{text}; {}; {} flows open in {} bytes",
            report::losses(listening),
            listening.open_flows,
            listening.memory
        );
    }
    text
}
