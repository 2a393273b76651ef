//! `--tui`: a screen for whoever watches. Records come to it as they come to the writer, and nobody waits for it.

mod app;
mod block;
mod draw;
mod meter;
mod page;
mod store;
mod table;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_support;
mod text;
mod tty;

use super::board::Board;
use super::crew::spawn;
use super::record::Record;
use crate::cli::mailbox::Mailbox;
use crate::cli::output;
use crate::policy::Guard;
use crate::report::Redactor;
use crate::ruleset::RuleSet;
use app::{App, Doing};
use block::{Blocker, Planner};
use meter::Meter;
use ratatui::Terminal;
use ratatui::backend::{Backend, TermionBackend};
use ratatui::layout::{Rect, Size};
use signal_hook::consts::{SIGCONT, SIGTSTP};
use signal_hook::{flag, low_level};
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use text::Looks;
use tty::Tty;
pub use tty::unfit;

/// Time between two looks at news, signals and the terminal's size; keys are seen at once.
const TICK: Duration = Duration::from_millis(100);
/// Time between two drawings of what has come.
const FRAME: Duration = Duration::from_millis(250);
/// At the end, how long the screen may take to close before the terminal is taken from it.
const PATIENCE: Duration = Duration::from_secs(3);

/// What it needs to know.
pub struct Settings {
    /// What is listened on, in words.
    pub interfaces: String,
    /// `--max-memory`.
    pub memory: usize,
    /// Describe risks, and say what policies are made of.
    pub rules: Arc<RuleSet>,
    /// What rules must not cut off.
    pub guard: Guard,
    /// Hides names.
    pub redactor: Option<Redactor>,
}

/// A screen that is not shown yet.
pub struct Screen {
    tty: Arc<Tty>,
    app: App,
    redactor: Option<Redactor>,
    stopped: Arc<AtomicBool>,
    continued: Arc<AtomicBool>,
    last_frame: Option<Instant>,
    size: Size,
    second: String,
}

/// What is left when it was closed.
struct Closed {
    messages: Vec<String>,
    rules: Option<String>,
}

type Drawn = Terminal<TermionBackend<BufWriter<File>>>;

impl Screen {
    /// Takes what it needs; the terminal is left as it is.
    pub fn new(settings: Settings) -> io::Result<Self> {
        let tty = Tty::open()?;
        tty.give_back_on_panic();
        let (stopped, continued) = (Arc::default(), Arc::default());
        flag::register(SIGTSTP, Arc::clone(&stopped))?;
        flag::register(SIGCONT, Arc::clone(&continued))?;
        let meter = Meter::new(settings.interfaces, settings.memory as u64, Instant::now());
        let redacted = settings.redactor.is_some();
        let risks = settings.rules.risks().to_vec();
        let planner = Planner::new(settings.rules, settings.guard, redacted);
        Ok(Self {
            tty,
            app: App::new(meter, Looks::of_environment(), risks, planner),
            redactor: settings.redactor,
            stopped,
            continued,
            last_frame: None,
            size: Size::ZERO,
            second: String::new(),
        })
    }

    /// Somebody can block at once.
    pub fn blocks_by(&mut self, blocker: Blocker) {
        self.app.blocker = Some(blocker);
    }

    /// Shows what comes until there is no more or somebody has seen enough; then listening ends.
    fn show(mut self, news: &Mailbox<Record>, board: &Board) -> Closed {
        let leaving = Leaving {
            tty: Arc::clone(&self.tty),
            news,
            board,
        };
        let ended = self.run(news, board);
        drop(leaving);
        if let Err(error) = ended
            && error.kind() != io::ErrorKind::UnexpectedEof
        {
            self.app.say(&format!("the screen failed: {error}"));
        }
        Closed {
            rules: self.app.kept_rules(),
            messages: self.app.into_messages(),
        }
    }

    fn run(&mut self, news: &Mailbox<Record>, board: &Board) -> io::Result<()> {
        self.tty.take()?;
        let mut terminal = self.terminal()?;
        while self.tty.is_taken() {
            let Some(records) = news.take(Duration::ZERO) else {
                return Ok(());
            };
            let now = Instant::now();
            for mut record in records {
                if let Some(redactor) = &self.redactor {
                    record.redact(redactor);
                }
                self.app.take(record, now);
            }
            self.draw_if_due(&mut terminal, board)?;
            for key in self.tty.keys(TICK)? {
                match self.app.key(key, Instant::now()) {
                    Doing::Nothing => {}
                    Doing::Quit => return Ok(()),
                    Doing::Suspend => self.stopped.store(true, Ordering::Relaxed),
                    Doing::Redraw => self.continued.store(true, Ordering::Relaxed),
                }
                self.last_frame = None;
            }
            if self.stopped.swap(false, Ordering::Relaxed) {
                self.tty.give_back();
                // All of the process stops here, and goes on from here.
                low_level::emulate_default_handler(SIGTSTP)?;
                self.continued.store(true, Ordering::Relaxed);
            }
            if self.continued.swap(false, Ordering::Relaxed) {
                // The terminal is as the shell left it.
                self.tty.take()?;
                terminal = self.terminal()?;
            }
        }
        Ok(())
    }

    /// A terminal of which nothing is known.
    fn terminal(&mut self) -> io::Result<Drawn> {
        let output = BufWriter::with_capacity(64 * 1024, self.tty.output()?);
        let mut terminal = Terminal::new(TermionBackend::new(output))?;
        self.size = terminal.size()?;
        terminal.resize(Rect::from((ratatui::layout::Position::ORIGIN, self.size)))?;
        self.last_frame = None;
        Ok(terminal)
    }

    /// Draws when a key was pressed, the window changed, a second has passed, or news has waited long enough.
    fn draw_if_due(&mut self, terminal: &mut Drawn, board: &Board) -> io::Result<()> {
        let now = Instant::now();
        let size = terminal.backend().size()?;
        let resized = size != self.size;
        if !resized
            && self
                .last_frame
                .is_some_and(|last| now.duration_since(last) < FRAME)
        {
            return Ok(());
        }
        let mut due = resized || self.last_frame.is_none();
        for message in board.shown() {
            self.app.say(&message);
            due = true;
        }
        let (posted, summary) = board.posted();
        if let Some(at) = posted {
            due |= self.app.meter.take(at, summary);
        }
        self.app.meter.missed = board.lost_news.load(Ordering::Relaxed);
        let clock = crate::report::time(crate::capture::live::now(), true);
        due |= clock != self.second;
        due |= self.app.refresh(now);
        if due {
            // A panic has given it back.
            if !self.tty.is_taken() {
                return Ok(());
            }
            let app = &mut self.app;
            terminal.draw(|frame| draw::draw(app, frame.buffer_mut(), now, &clock))?;
            (self.size, self.second) = (size, clock);
        }
        self.last_frame = Some(now);
        Ok(())
    }
}

/// However the screen ends: the terminal is given back, nobody puts news there any more, and listening ends.
struct Leaving<'a> {
    tty: Arc<Tty>,
    news: &'a Mailbox<Record>,
    board: &'a Board,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.tty.give_back();
        self.board.unshow();
        self.news.abandon();
        self.board.stop.store(true, Ordering::Relaxed);
    }
}

/// A screen that is shown.
pub struct Shown {
    thread: JoinHandle<Closed>,
    tty: Arc<Tty>,
    news: Arc<Mailbox<Record>>,
    board: Arc<Board>,
}

impl Shown {
    /// Shows it in a thread of its own, once `gate` opens.
    pub fn begin(
        screen: Screen,
        news: &Arc<Mailbox<Record>>,
        board: &Arc<Board>,
        gate: &Arc<Barrier>,
    ) -> Result<Self, crate::cli::CliError> {
        let tty = Arc::clone(&screen.tty);
        let (its_news, its_board) = (Arc::clone(news), Arc::clone(board));
        let thread = spawn("screen", gate, move || screen.show(&its_news, &its_board))?;
        Ok(Self {
            thread,
            tty,
            news: Arc::clone(news),
            board: Arc::clone(board),
        })
    }

    /// Closes it, and says what it has kept for the end.
    pub fn close(self) {
        self.news.close();
        let since = Instant::now();
        while !self.thread.is_finished() && since.elapsed() < PATIENCE {
            std::thread::sleep(TICK / 10);
        }
        self.tty.give_back();
        self.board.unshow();
        if !self.thread.is_finished() {
            output::complain("the screen does not close; it is left alone");
            return;
        }
        let Ok(Closed { messages, rules }) = self.thread.join() else {
            output::complain("the screen failed: this is a mistake in imwarden");
            return;
        };
        // Where stderr goes elsewhere they are there already.
        if io::stderr().is_terminal() {
            for message in messages.iter().chain(&self.board.shown()) {
                output::complain(message);
            }
        }
        if let Some(rules) = rules {
            let mut out = output::stdout();
            // A terminal that is gone takes nothing.
            let _ = out.write_all(rules.as_bytes()).and_then(|()| out.flush());
        }
    }
}
