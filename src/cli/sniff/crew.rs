//! The threads: each begins behind a gate, which opens when all are locked in.

use super::args::{Args, report};
use super::board::Board;
use super::enforce::{Enforcer, Handle, Inline, Teller};
use super::listen::{self, Plan, Readers};
use super::open::Opened;
use super::record::Record;
use super::save::Saver;
#[cfg(feature = "tui")]
use super::screen;
use super::watch::Threads;
use super::write::{self, Scribe};
use crate::cli::CliError;
use crate::cli::mailbox::Mailbox;
use crate::pipeline::Settings;
use crate::report::Redactor;
use crate::ruleset::RuleSet;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

/// Who works on what.
pub struct Crew<'a> {
    pub args: &'a Args,
    pub rules: Arc<RuleSet>,
    pub redactor: Option<Redactor>,
    pub enforcer: Option<Enforcer>,
    #[cfg(feature = "tui")]
    pub screen: Option<screen::Screen>,
}

/// The threads, waiting, and what opens the gate.
pub struct Waiting {
    /// Who works.
    pub threads: Threads,
    /// What is on its way to the writer.
    pub records: Arc<Mailbox<Record>>,
    gate: Arc<Barrier>,
}

impl Waiting {
    /// Lets them begin.
    pub fn begin(&self) {
        self.gate.wait();
    }
}

impl Crew<'_> {
    /// Starts all of them.
    pub fn start(self, opened: Opened, board: &Arc<Board>) -> Result<Waiting, CliError> {
        let args = self.args;
        let Opened {
            mut live,
            format,
            output,
            saved,
            metrics,
        } = opened;
        let records = Arc::new(Mailbox::with_room(write::ROOM));
        let told = output.is_some().then(|| Arc::clone(&records));
        let names = self.redactor.is_none();
        let divided = self
            .enforcer
            .map(|it| it.divide(&args.enforce, names, board, told));
        let (blocker, teller, inline): (Option<Handle>, Option<Teller>, Option<Inline>) =
            match divided.transpose()? {
                Some((blocker, teller, inline)) => (Some(blocker), Some(teller), inline),
                None => (None, None, None),
            };
        if let Some(inline) = &inline {
            live.wake_on(inline.socket()?);
        }
        let others = [
            output.is_some(),
            saved.is_some(),
            metrics.is_some(),
            teller.is_some(),
            args.tui,
        ];
        let others = others.into_iter().filter(|it| *it).count();
        let gate = Arc::new(Barrier::new(2 + others));
        let news = args.tui.then(|| Arc::new(Mailbox::with_room(write::ROOM)));
        let saver = saved
            .as_ref()
            .map(|_| Arc::new(Saver::new(Arc::clone(board))));
        let settings = Settings {
            activities: args.tui || report(format, args.verbose, &self.rules).wants_occurrences(),
            memory: args.limits.memory(),
            timeouts: args.limits.timeouts(),
            live: true,
            ..Settings::default()
        };
        let plan = Plan {
            count: args.count,
            duration: args.duration.map(Duration::from_secs),
            interval: Duration::from_secs(args.interval),
            metered: args.tui || metrics.is_some(),
        };
        #[cfg(feature = "tui")]
        let by_hand = blocker.clone();
        let listener = {
            let board = Arc::clone(board);
            let records = output.is_some().then(|| Arc::clone(&records));
            let (news, rules, saver) = (news.clone(), Arc::clone(&self.rules), saver.clone());
            spawn("listen", &gate, move || {
                let readers = Readers {
                    records: records.as_deref(),
                    screen: news.as_deref(),
                    saver: saver.as_deref(),
                    enforcer: blocker.as_ref(),
                };
                let heard =
                    listen::listen(&mut live, inline, &rules, settings, plan, readers, &board);
                if let Some(saver) = saver {
                    saver.close();
                }
                heard
            })?
        };
        let writer = output.map(|output| {
            let (board, records) = (Arc::clone(board), Arc::clone(&records));
            let (rules, redactor) = (Arc::clone(&self.rules), self.redactor);
            let verbose = args.verbose;
            spawn("write", &gate, move || {
                let report = report(format, verbose, &rules);
                Scribe::new(report, redactor, output).write(&records, &board);
            })
        });
        let saving = saver
            .zip(saved)
            .map(|(saver, file)| spawn("save", &gate, move || saver.write(file)));
        let enforcing = teller.map(|teller| spawn("enforce", &gate, move || teller.work()));
        if let Some(metrics) = metrics {
            let board = Arc::clone(board);
            // It answers as long as there is a process.
            spawn("metrics", &gate, move || metrics.answer(&board))?;
        }
        #[cfg(feature = "tui")]
        let screen = match (self.screen, &news) {
            (Some(mut screen), Some(news)) => {
                if let Some(blocker) = by_hand {
                    screen.blocks_by(Box::new(move |flow| blocker.block(flow)));
                }
                let shown = screen::Shown::begin(screen, news, board, &gate)?;
                board.show();
                Some(Box::new(|| shown.close()) as Box<dyn FnOnce()>)
            }
            _ => None,
        };
        #[cfg(not(feature = "tui"))]
        let screen = None;
        let threads = Threads {
            listener,
            writer: writer.transpose()?,
            saver: saving.transpose()?,
            enforcer: enforcing.transpose()?,
            screen,
        };
        Ok(Waiting {
            threads,
            records,
            gate,
        })
    }
}

/// A thread that works once the gate is open.
pub fn spawn<T: Send + 'static>(
    name: &str,
    gate: &Arc<Barrier>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<thread::JoinHandle<T>, CliError> {
    let builder = thread::Builder::new().name(name.to_owned());
    let gate = Arc::clone(gate);
    Ok(builder.spawn(move || {
        gate.wait();
        work()
    })?)
}
