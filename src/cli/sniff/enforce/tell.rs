//! The thread that asks the enforcer, and says what came of it.

use super::handle::{Ask, Handle};
use super::inline::Inline;
use super::slip::{LONGEST, Numbers, Slip};
use super::start::Enforcer;
use super::wire::{Acted, Answer, Open, Request, TOGETHER};
use super::{Enforced, span};
use crate::capture::live::now;
use crate::cli::mailbox::Mailbox;
use crate::cli::sniff::board::Board;
use crate::cli::sniff::record::Record;
use crate::model::{Action, Concerned, Deed, Transport};
use crate::policy::live::Order;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fmt::Write as _;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// Connections that may wait. Each that does not fit is told of again, at the next interval.
const ROOM: usize = 1024;
/// How often it looks whether all is over.
const TICK: Duration = Duration::from_millis(100);
/// What is said of a limit that is reached is not said again so soon.
const QUIET: Duration = Duration::from_secs(60);

/// The other end of a handle.
pub struct Teller {
    enforcer: Enforcer,
    asks: Receiver<Ask>,
    board: Arc<Board>,
    /// Whoever writes is told what was done.
    records: Option<Arc<Mailbox<Record>>>,
    ended: Arc<AtomicBool>,
    done: Arc<AtomicBool>,
    timeout: Duration,
    dry_run: bool,
    keep: bool,
    /// Where packets that wait are spoken of: how it went is said there last.
    packets: Option<OwnedFd>,
    /// When it was said last that there are too many.
    too_many: Option<Instant>,
}

impl Enforcer {
    /// A handle, and the thread's part.
    pub fn divide(
        mut self,
        args: &super::EnforceArgs,
        names: bool,
        board: &Arc<Board>,
        records: Option<Arc<Mailbox<Record>>>,
    ) -> io::Result<(Handle, Teller, Option<Inline>)> {
        let (sender, asks) = sync_channel(ROOM);
        let inline = self.packets.take().map(Inline::new);
        let packets = inline.as_ref().map(Inline::socket).transpose()?;
        if inline.is_some() {
            board.enforced.note(Numbers::default());
        }
        let (ended, done) = <(Arc<AtomicBool>, Arc<AtomicBool>)>::default();
        board.enforced.on.store(true, Ordering::Relaxed);
        let handle = Handle {
            asks: sender,
            board: Arc::clone(board),
            ended: Arc::clone(&ended),
            done: Arc::clone(&done),
            least: args.least(),
            names,
            asked: inline.is_some().then(Arc::default),
        };
        let teller = Teller {
            enforcer: self,
            asks,
            board: Arc::clone(board),
            records,
            ended,
            done,
            timeout: args.timeout(),
            dry_run: args.dry_run(),
            keep: args.keep(),
            packets,
            too_many: None,
        };
        Ok((handle, teller, inline))
    }
}

impl Teller {
    /// Asks until nothing more will be found, and has the rules taken away then.
    pub fn work(mut self) {
        if self.ask().is_err() {
            Enforced::count(&self.board.enforced.failed);
            self.board.say(
                "enforce: the enforcer is gone: NOTHING IS ENFORCED ANY MORE. Its rules stay, and what they refuse comes to an end; \
                 `imwarden undo --all` takes them away"
                    .to_owned(),
            );
            let reason = "the enforcer is gone: nothing is enforced any more".to_owned();
            self.tell(Deed::Failed, None, None, Some(reason));
        }
        self.done.store(true, Ordering::Relaxed);
    }

    /// Tells whoever writes.
    fn tell(
        &self,
        deed: Deed,
        about: Option<&Concerned>,
        lasting: Option<Duration>,
        reason: Option<String>,
    ) {
        let Some(records) = &self.records else {
            return;
        };
        let timestamp = now();
        let action = Action {
            timestamp,
            deed,
            about: about.cloned(),
            until: lasting.map(|it| timestamp.after_seconds(it.as_secs())),
            reason,
            dry_run: self.dry_run,
        };
        if !records.offer(Record::Action(Box::new(action)), Duration::ZERO) {
            self.board.lost_records.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn ask(&mut self) -> io::Result<()> {
        loop {
            let first = match self.asks.recv_timeout(TICK) {
                Ok(ask) => ask,
                Err(RecvTimeoutError::Timeout) if !self.ended.load(Ordering::Relaxed) => {
                    self.is_alive()?;
                    continue;
                }
                Err(_) => break,
            };
            let mut batch = vec![first];
            batch.extend(self.asks.try_iter().take(TOGETHER - 1));
            let requests: Vec<Request> = batch.iter().map(|it| Request::Cut(it.order)).collect();
            Request::send(&requests, &mut self.enforcer.socket)?;
            for ask in batch {
                let answer = self.hear()?;
                self.note(&ask, answer);
            }
        }
        Request::send(&[Request::End], &mut self.enforcer.socket)?;
        let (deed, what) = match self.hear()? {
            Answer::Done(what) => (Deed::Removed, what),
            Answer::Failed { what, .. } => (Deed::Failed, what),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        // With --keep nothing is, and a dry run has nothing.
        if deed == Deed::Failed || !self.keep && !self.dry_run {
            let reason = (deed == Deed::Failed).then(|| what.clone());
            self.tell(deed, None, None, reason);
        }
        self.board.say(format!("enforce: {what}"));
        self.hear_numbers();
        Ok(())
    }

    /// The next answer; what the enforcer says by itself comes before it.
    fn hear(&mut self) -> io::Result<Answer> {
        loop {
            match Answer::receive(&mut self.enforcer.socket)? {
                Answer::Word(what) => self.board.say(format!("enforcer: {what}")),
                answer => return Ok(answer),
            }
        }
    }

    /// Whether it is there, when nothing is asked for; what it says by itself.
    fn is_alive(&mut self) -> io::Result<()> {
        loop {
            let mut one = [PollFd::new(&self.enforcer.socket, PollFlags::IN)];
            if poll(&mut one, Some(&Timespec::default()))? == 0 {
                return Ok(());
            }
            match Answer::receive(&mut self.enforcer.socket)? {
                Answer::Word(what) => self.board.say(format!("enforcer: {what}")),
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    /// What was said last about packets that waited. Whoever listened does not any more.
    fn hear_numbers(&self) {
        let Some(socket) = &self.packets else {
            return;
        };
        let mut buffer = vec![0; LONGEST];
        while let Some(slip) = Slip::receive(socket, &mut buffer) {
            if let Slip::Numbers(numbers) = slip {
                self.board.enforced.note(numbers);
            }
        }
    }

    fn note(&mut self, ask: &Ask, answer: Answer) {
        let counts = &self.board.enforced;
        let said = match answer {
            Answer::Acted(acted) => {
                if acted.cut {
                    Enforced::count(&counts.cut);
                } else if !matches!(acted.place, Ok(())) {
                    Enforced::count(&counts.failed);
                }
                if acted.place.is_ok() {
                    Enforced::count(&counts.added);
                }
                self.tell_acted(&ask.about, &acted);
                self.acted(&ask.order, &acted)
            }
            Answer::Spared(why) => {
                Enforced::count(&counts.spared);
                let reason = Some(why.words().to_owned());
                self.tell(Deed::Spared, Some(&ask.about), None, reason);
                format!("left alone: {}", why.words())
            }
            Answer::TooMany => {
                Enforced::count(&counts.too_many);
                if self.too_many.is_some_and(|said| said.elapsed() < QUIET) {
                    return;
                }
                self.too_many = Some(Instant::now());
                self.tell(Deed::RateLimited, Some(&ask.about), None, None);
                "left alone for now: more connections a minute than --enforce-rate allows; the others are counted, and tried again"
                    .to_owned()
            }
            Answer::Failed { what, .. } => {
                Enforced::count(&counts.failed);
                self.tell(Deed::Failed, Some(&ask.about), None, Some(what.clone()));
                format!("FAILED: {what}")
            }
            Answer::Already | Answer::Done(_) | Answer::Word(_) => return,
        };
        let now = jiff::Zoned::now().strftime("%H:%M:%S").to_string();
        self.board
            .say(format!("enforce: {now} {}: {said}", ask.words));
    }

    /// A connection that is cut, and its server, are two things.
    fn tell_acted(&self, about: &Concerned, acted: &Acted) {
        let open = match acted.place {
            Ok(()) => None,
            Err(Open::Narrow(why)) => Some(format!("its server stays open: {}", why.words())),
            Err(Open::Full) => Some("its server stays open: there is no room for more".to_owned()),
            Err(Open::Refused) => Some("its server is refused already".to_owned()),
        };
        if acted.cut {
            self.tell(Deed::Cut, Some(about), None, open);
        } else if open.is_some() {
            let reason = "the kernel does not know the connection".to_owned();
            self.tell(Deed::Failed, Some(about), None, Some(reason));
        }
        if acted.place.is_ok() {
            self.tell(Deed::Blocked, Some(about), Some(self.timeout), None);
        }
    }

    fn acted(&self, order: &Order, acted: &Acted) -> String {
        let (transport, client, server) = (order.transport.name(), order.client, order.server);
        let would = if self.dry_run { "would " } else { "" };
        let mut said = if acted.cut {
            format!("{would}cut {transport} {client} -> {server}")
        } else {
            format!(
                "{transport} {client} -> {server} is no connection that the kernel knows: it is over, or does not pass here"
            )
        };
        let _ = match acted.place {
            Ok(()) => write!(
                said,
                "; {would}refuse {transport} {server} to everybody for {}",
                span(self.timeout)
            ),
            Err(Open::Narrow(why)) => write!(said, "; {server} stays open: {}", why.words()),
            Err(Open::Full) => write!(said, "; {server} stays open: there is no room for more"),
            Err(Open::Refused) => write!(said, "; {server} is refused already"),
        };
        if !acted.words.is_empty() {
            let _ = write!(said, "; {}", acted.words);
        }
        said
    }
}

/// The command that marks a connection, as an administrator would type it.
pub fn mark_words(order: &Order, mark: crate::policy::Mark) -> String {
    let protocol = match order.transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    };
    format!(
        "conntrack -U -p {protocol} -s {} --sport {} -d {} --dport {} --mark {mark}",
        order.client.ip, order.client.port, order.server.ip, order.server.port
    )
}
