//! Several captures read side by side, their findings in the order of the captures.
//!
//! Each capture is read by one thread, with a flow table and a memory limit of its own, so what is found in it does
//! not depend on how many are read at once. News pass through a box of bounded room: a thread whose turn has not come
//! waits when that is full. Captures are begun in order, so the one whose turn it is always is being read.

use super::mailbox::Mailbox;
use crate::capture::{self, CaptureError, FrameSource};
use crate::model::{Finding, Occurrence, Summary};
use crate::pipeline::{self, Settings, Sink};
use crate::ruleset::RuleSet;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// News are looked for that often, and shown then.
const TICK: Duration = Duration::from_millis(25);
/// How often progress is looked at.
const PROGRESS: Duration = Duration::from_millis(125);

/// Where a capture comes from.
#[derive(Clone, Debug)]
pub enum Input {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Input {
    /// What it is called in messages.
    pub fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    fn open(&self) -> Result<Box<dyn FrameSource>, CaptureError> {
        match self {
            Self::Stdin => capture::open_reader(Box::new(io::stdin()), self.name()),
            Self::File(path) => capture::open(path),
        }
    }
}

/// What is heard of a capture.
pub enum News {
    /// The next finding; flows are numbered from 1 in each capture.
    Found(Box<Finding>),
    /// Somebody did something.
    Done(Box<Occurrence>),
    /// So many bytes of so many were read.
    Progress(u64, Option<u64>),
    /// Nothing more is known right now: what was found should be seen.
    Idle,
    /// It was read; an error says why not to its end.
    Read(Box<Summary>, Option<CaptureError>),
}

/// Unknown length.
const UNKNOWN: u64 = u64::MAX;

/// Where one capture is read.
#[derive(Default)]
struct Desk {
    news: Mailbox<News>,
    /// Bytes read.
    at: AtomicU64,
    /// Of so many; 0 before it is begun.
    total: AtomicU64,
}

/// Reads the captures with `jobs` threads and tells `hear` the news of one after the other, until it is `false`.
pub fn run(
    inputs: &[Input],
    jobs: usize,
    rules: &RuleSet,
    settings: Settings,
    stop: &AtomicBool,
    hear: &mut dyn FnMut(usize, News) -> bool,
) {
    let desks: Vec<Desk> = inputs.iter().map(|_| Desk::default()).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let (Some(input), Some(desk)) = (inputs.get(number), desks.get(number)) else {
                return;
            };
            read(input, desk, rules, settings, stop);
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, inputs.len().max(1)) {
            scope.spawn(work);
        }
        for (number, desk) in desks.iter().enumerate() {
            if !listen(number, desk, stop, hear) {
                stop.store(true, Ordering::Relaxed);
                for desk in &desks {
                    desk.news.abandon();
                }
                break;
            }
        }
    });
}

/// Passes on the news of one capture; `false` when no more are wanted.
fn listen(
    number: usize,
    desk: &Desk,
    stop: &AtomicBool,
    hear: &mut dyn FnMut(usize, News) -> bool,
) -> bool {
    let mut shown = Instant::now();
    while let Some(news) = desk.news.take(TICK) {
        let quiet = news.is_empty();
        for news in news {
            if !hear(number, news) {
                return false;
            }
        }
        if !quiet && !hear(number, News::Idle) {
            return false;
        }
        let total = desk.total.load(Ordering::Relaxed);
        // Not begun, and nobody will any more.
        if quiet && total == 0 && stop.load(Ordering::Relaxed) {
            return true;
        }
        if shown.elapsed() >= PROGRESS {
            shown = Instant::now();
            let total = (total != UNKNOWN).then_some(total);
            let at = desk.at.load(Ordering::Relaxed);
            if !hear(number, News::Progress(at, total)) {
                return false;
            }
        }
    }
    true
}

/// Closes the box when it goes.
struct Closing<'a>(&'a Mailbox<News>);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Passes on what is found.
struct Sender<'a>(&'a Mailbox<News>);

impl Sink for Sender<'_> {
    fn finding(&mut self, finding: Finding) {
        self.0.put(News::Found(Box::new(finding)));
    }

    fn occurrence(&mut self, occurrence: Occurrence) {
        self.0.put(News::Done(Box::new(occurrence)));
    }
}

fn read(input: &Input, desk: &Desk, rules: &RuleSet, settings: Settings, stop: &AtomicBool) {
    desk.total.store(UNKNOWN, Ordering::Relaxed);
    // However this ends, nobody waits for more.
    let _closing = Closing(&desk.news);
    let (summary, error) = match input.open() {
        Err(error) => (Summary::default(), Some(error)),
        Ok(mut source) => {
            let total = source.stats().total.unwrap_or(UNKNOWN);
            desk.total.store(total.max(1), Ordering::Relaxed);
            let analysis = pipeline::run(
                source.as_mut(),
                rules,
                settings,
                stop,
                &mut |at| desk.at.store(at, Ordering::Relaxed),
                &mut Sender(&desk.news),
            );
            (analysis.summary, analysis.error)
        }
    };
    desk.news.put(News::Read(Box::new(summary), error));
}
