//! Several captures read side by side, their findings in the order of the captures.
//!
//! Each capture is read by one thread, with a flow table and a memory limit of its own, so what is found in it does
//! not depend on how many are read at once. Findings pass through a bounded channel: a thread whose turn has not come
//! waits when that is full. Captures are begun in order, so the one whose turn it is always is being read.

use crate::capture::{self, CaptureError, FrameSource};
use crate::model::{Finding, Occurrence, Summary};
use crate::pipeline::{self, Settings, Sink};
use crate::ruleset::RuleSet;
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// Findings that a capture may have waiting for its turn.
const WAITING: usize = 1024;
/// How often progress is looked at.
const TICK: Duration = Duration::from_millis(125);

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
    /// It was read; an error says why not to its end.
    Read(Box<Summary>, Option<CaptureError>),
}

/// Unknown length.
const UNKNOWN: u64 = u64::MAX;

#[derive(Default)]
struct Position {
    at: AtomicU64,
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
    let (senders, receivers): (Vec<_>, Vec<_>) =
        inputs.iter().map(|_| sync_channel(WAITING)).unzip();
    // Each is taken by the thread that reads its capture, so that it closes with it.
    let senders = Mutex::new(senders.into_iter().map(Some).collect::<Vec<_>>());
    let positions: Vec<Position> = inputs.iter().map(|_| Position::default()).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let sender = senders
                .lock()
                .ok()
                .and_then(|mut senders| senders.get_mut(number)?.take());
            let (Some(input), Some(sender), Some(position)) =
                (inputs.get(number), sender, positions.get(number))
            else {
                return;
            };
            read(input, &sender, position, rules, settings, stop);
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, inputs.len().max(1)) {
            scope.spawn(work);
        }
        // Owned here, so that nobody waits for a reader who has gone.
        let receivers = receivers;
        for (number, (receiver, position)) in receivers.iter().zip(&positions).enumerate() {
            if !listen(number, receiver, position, stop, hear) {
                stop.store(true, Ordering::Relaxed);
                break;
            }
        }
    });
}

/// Passes on the news of one capture; `false` when no more are wanted.
fn listen(
    number: usize,
    receiver: &Receiver<News>,
    position: &Position,
    stop: &AtomicBool,
    hear: &mut dyn FnMut(usize, News) -> bool,
) -> bool {
    loop {
        match receiver.recv_timeout(TICK) {
            Ok(news) => {
                let last = matches!(news, News::Read(..));
                if !hear(number, news) {
                    return false;
                }
                if last {
                    return true;
                }
            }
            // Not begun, and nobody will any more.
            Err(RecvTimeoutError::Timeout)
                if stop.load(Ordering::Relaxed) && position.total.load(Ordering::Relaxed) == 0 =>
            {
                return true;
            }
            Err(RecvTimeoutError::Timeout) => {
                let total = position.total.load(Ordering::Relaxed);
                let total = (total != UNKNOWN).then_some(total);
                hear(
                    number,
                    News::Progress(position.at.load(Ordering::Relaxed), total),
                );
            }
            Err(RecvTimeoutError::Disconnected) => return true,
        }
    }
}

/// Passes on what is found.
struct Sender<'a>(&'a SyncSender<News>);

impl Sink for Sender<'_> {
    fn finding(&mut self, finding: Finding) {
        let _ = self.0.send(News::Found(Box::new(finding)));
    }

    fn occurrence(&mut self, occurrence: Occurrence) {
        let _ = self.0.send(News::Done(Box::new(occurrence)));
    }
}

fn read(
    input: &Input,
    sender: &SyncSender<News>,
    position: &Position,
    rules: &RuleSet,
    settings: Settings,
    stop: &AtomicBool,
) {
    position.total.store(UNKNOWN, Ordering::Relaxed);
    // A send fails when nobody listens any more: reading was stopped then.
    let (summary, error) = match input.open() {
        Err(error) => (Summary::default(), Some(error)),
        Ok(mut source) => {
            let total = source.stats().total.unwrap_or(UNKNOWN);
            position.total.store(total.max(1), Ordering::Relaxed);
            let analysis = pipeline::run(
                source.as_mut(),
                rules,
                settings,
                stop,
                &mut |at| position.at.store(at, Ordering::Relaxed),
                &mut Sender(sender),
            );
            (analysis.summary, analysis.error)
        }
    };
    let _ = sender.send(News::Read(Box::new(summary), error));
}
