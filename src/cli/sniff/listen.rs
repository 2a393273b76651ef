//! The thread that listens: interfaces -> road -> records for the writer. It waits for nobody but the kernel.

use super::board::Board;
use super::enforce::{Handle, Inline};
use super::record::Record;
use super::save::Saver;
use crate::capture::live::Live;
use crate::capture::{CaptureError, FrameSource};
use crate::cli::mailbox::Mailbox;
use crate::model::{Detection, Finding, Listening, Occurrence, Summary, Timestamp};
use crate::pipeline::{Road, Settings, Sink};
use crate::ruleset::RuleSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Frames that are asked for at once.
const BATCH: usize = 256;
/// Time between two postings of statistics.
const METER: Duration = Duration::from_secs(1);
/// At the end, how long the writer may take for one record before it is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// When to end, and how often to tell how it goes.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// After so many packets.
    pub count: Option<u64>,
    /// After so long.
    pub duration: Option<Duration>,
    /// Time between two records of what goes on.
    pub interval: Duration,
    /// Statistics are posted every second.
    pub metered: bool,
}

/// Who is told of packets and findings.
#[derive(Clone, Copy)]
pub struct Readers<'a> {
    /// Who writes; nobody does if there is only a screen.
    pub records: Option<&'a Mailbox<Record>>,
    /// The screen, if there is one.
    pub screen: Option<&'a Mailbox<Record>>,
    /// Saves packets.
    pub saver: Option<&'a Saver>,
    /// Has what is found refused.
    pub enforcer: Option<&'a Handle>,
}

impl Readers<'_> {
    fn close(&self) {
        for reader in [self.records, self.screen].into_iter().flatten() {
            reader.close();
        }
    }
}

/// Passes records on; counts those that there is no room for.
struct Sender<'a> {
    readers: Readers<'a>,
    board: &'a Board,
    /// How long to wait for room: not at all while packets come.
    patience: Duration,
}

impl Sender<'_> {
    fn send(&mut self, record: Record) {
        if let Some(screen) = self.readers.screen {
            self.show(screen, record.clone());
        }
        let Some(records) = self.readers.records else {
            return;
        };
        if !records.offer(record, self.patience) && !self.board.unread.load(Ordering::Relaxed) {
            self.board.lost_records.fetch_add(1, Ordering::Relaxed);
            // Nobody reads: the others need not wait as long.
            self.patience = Duration::ZERO;
        }
    }

    fn show(&self, screen: &Mailbox<Record>, record: Record) {
        if !screen.offer(record, Duration::ZERO) && self.board.is_shown() {
            self.board.lost_news.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Tells the screen how flows go on, and nobody else.
struct Showing<'s, 'a>(&'s Sender<'a>);

impl Sink for Showing<'_, '_> {
    fn finding(&mut self, _: Finding) {}

    fn detection(&mut self, detection: Detection) {
        if let Some(screen) = self.0.readers.screen {
            self.0.show(screen, Record::Detection(Box::new(detection)));
        }
    }
}

/// When the screen is told how flows go on: often enough for rates, and never for more than a twentieth of the time.
struct Looks {
    next: Instant,
    /// Last packet of last time.
    since: Timestamp,
}

impl Looks {
    fn look(&mut self, now: Instant, road: &mut Road<'_>, sender: &Sender<'_>) {
        if sender.readers.screen.is_none() || now < self.next {
            return;
        }
        let since = self.since;
        self.since = road.last_packet().unwrap_or(since);
        road.look(since, &mut Showing(sender));
        self.next = now + METER.max(now.elapsed() * 20);
    }
}

impl Sink for Sender<'_> {
    fn finding(&mut self, finding: Finding) {
        if let Some(enforcer) = self.readers.enforcer {
            enforcer.found(&finding);
        }
        self.send(Record::Flow(Box::new(finding)));
    }

    fn detection(&mut self, detection: Detection) {
        if let Some(enforcer) = self.readers.enforcer {
            enforcer.found(&detection.finding);
        }
        self.send(Record::Detection(Box::new(detection)));
    }

    fn occurrence(&mut self, occurrence: Occurrence) {
        self.send(Record::Event(Box::new(occurrence)));
    }
}

/// What there was.
pub struct Heard {
    /// All in all.
    pub summary: Summary,
    /// Why it ended, if nobody wanted it to.
    pub failed: Option<CaptureError>,
}

/// Listens until it is told to stop, or cannot any more.
pub fn listen(
    live: &mut Live,
    mut inline: Option<Inline>,
    rules: &RuleSet,
    settings: Settings,
    plan: Plan,
    readers: Readers<'_>,
    board: &Board,
) -> Heard {
    let saver = readers.saver;
    let mut road = Road::new(rules, settings);
    let mut sender = Sender {
        readers,
        board,
        patience: Duration::ZERO,
    };
    let begun = Instant::now();
    let (mut told, mut posted) = (begun, begun);
    let mut looks = Looks {
        next: begun,
        since: Timestamp::default(),
    };
    let mut left = plan.count.unwrap_or(u64::MAX);
    let mut failed = None;
    let mut kept = Vec::new();
    while !board.stopped() && left > 0 {
        board.rounds.fetch_add(1, Ordering::Relaxed);
        if let Some(rules) = board.take_rules() {
            road.set_rules(rules);
        }
        if let (Some(inline), Some(enforcer)) = (&mut inline, readers.enforcer) {
            inline.serve(&mut road, &mut sender, enforcer);
        }
        let most = usize::try_from(left).map_or(BATCH, |left| left.min(BATCH));
        let frames = match live.next_frames(most) {
            Ok(frames) => frames,
            Err(error) => {
                failed = Some(error);
                break;
            }
        };
        if frames.is_empty() {
            if let Some(now) = live.pause() {
                road.tick(now, &mut sender);
            }
        } else {
            left -= frames.iter().len() as u64;
            if let Some(saver) = saver {
                saver.save(frames);
            }
            if let (Some(inline), Some(enforcer)) = (&mut inline, readers.enforcer) {
                road.frames(inline.fresh(frames, &mut kept), &mut sender);
                inline.note(enforcer);
            } else {
                road.frames(frames, &mut sender);
            }
        }
        for notice in live.take_notices() {
            board.say(notice);
        }
        let now = Instant::now();
        if now.duration_since(told) >= plan.interval {
            told = now;
            road.update(&mut sender);
            let statistics = Box::new(statistics(&road, live, board));
            sender.send(Record::Statistics(statistics));
        }
        looks.look(now, &mut road, &sender);
        if plan.metered && now.duration_since(posted) >= METER {
            posted = now;
            board.post(statistics(&road, live, board));
        }
        if board.asked.swap(false, Ordering::Relaxed) {
            board.answer(statistics(&road, live, board));
        }
        if plan
            .duration
            .is_some_and(|most| now.duration_since(begun) >= most)
        {
            break;
        }
    }
    // What the kernel has for us by now is still ours.
    drain(live, &mut road, saver, &mut sender, left);
    let before_end = statistics(&road, live, board);
    sender.patience = PATIENCE;
    let mut summary = road.finish(&mut sender);
    summary.drops = before_end.drops;
    summary.listening = before_end.listening;
    if let Some(enforcer) = readers.enforcer {
        // What it still does belongs before the end.
        enforcer.end();
    }
    sender.send(Record::End(Box::new(summary.clone())));
    readers.close();
    Heard { summary, failed }
}

/// Takes what waits in the kernel's buffer, once around: more may come all the time.
fn drain(
    live: &mut Live,
    road: &mut Road<'_>,
    saver: Option<&Saver>,
    sender: &mut Sender<'_>,
    mut left: u64,
) {
    const LONGEST: Duration = Duration::from_secs(2);
    let begun = crate::capture::live::now();
    let deadline = Instant::now() + LONGEST;
    while left > 0 && Instant::now() < deadline {
        let most = usize::try_from(left).map_or(BATCH, |left| left.min(BATCH));
        let Ok(frames) = live.next_frames(most) else {
            return;
        };
        let Some(last) = frames.iter().last() else {
            return;
        };
        let is_late = last.timestamp > begun;
        left -= frames.iter().len() as u64;
        if let Some(saver) = saver {
            saver.save(frames);
        }
        road.frames(frames, sender);
        if is_late {
            return;
        }
    }
}

fn statistics(road: &Road<'_>, live: &mut Live, board: &Board) -> Summary {
    let drops = live.drops();
    let (open, memory) = road.load();
    let mut listening = Listening {
        drops_ring: drops.ring,
        drops_kernel: drops.kernel,
        drops_interface: drops.interface,
        open_flows: open as u64,
        memory: memory as u64,
        ..Listening::default()
    };
    board.losses(&mut listening);
    let mut summary = road.summary();
    summary.drops = drops.ring;
    summary.listening = Some(listening);
    summary
}
