//! The thread that asks the enforcer, and says what came of it.

use super::start::Enforcer;
use super::wire::{Acted, Answer, Open, Request, TOGETHER};
use super::{Enforced, span};
use crate::cli::observe::is_proxied;
use crate::cli::sniff::board::Board;
use crate::model::{Confidence, Finding, Transport};
use crate::policy::feature_of;
use crate::policy::live::Order;
use crate::ruleset::Feature;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

/// Connections that may wait. Each that does not fit is told of again, at the next interval.
const ROOM: usize = 1024;
/// How often it looks whether all is over.
const TICK: Duration = Duration::from_millis(100);
/// What is said of a limit that is reached is not said again so soon.
const QUIET: Duration = Duration::from_secs(60);
/// What strangers call themselves is not repeated at any length.
const LONGEST_NAME: usize = 64;

/// A connection, and what is said of it.
struct Ask {
    order: Order,
    words: String,
}

/// For whoever finds something: asks for an end of it, and waits for nothing.
#[derive(Clone)]
pub struct Handle {
    asks: SyncSender<Ask>,
    board: Arc<Board>,
    ended: Arc<AtomicBool>,
    least: Confidence,
    names: bool,
}

impl Handle {
    /// A finding: acted on if it is sure enough.
    pub fn found(&self, finding: &Finding) {
        if finding.confidence >= Some(self.least) {
            self.block(finding);
        }
    }

    /// Ends this connection and refuses its server, whatever is known of it. Whether it is asked for.
    pub fn block(&self, finding: &Finding) -> bool {
        let tuple = &finding.tuple;
        let between_users = matches!(
            feature_of(finding.app_proto.unwrap_or_default()),
            Feature::FileTransfer | Feature::PeerToPeer
        );
        let order = Order {
            transport: tuple.transport,
            client: tuple.client,
            server: tuple.server,
            // What is carried inside something else is not the server's only business.
            only_connection: between_users || is_proxied(finding) || !finding.carriers.is_empty(),
        };
        let asked = self.asks.try_send(Ask {
            order,
            words: self.words(finding),
        });
        if let Err(TrySendError::Full(_)) = asked {
            Enforced::count(&self.board.enforced.too_many);
        }
        asked.is_ok()
    }

    /// Nothing more will be found.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// `192.0.2.1 (alice), aim oscar bos, confirmed`
    fn words(&self, finding: &Finding) -> String {
        let mut words = finding.tuple.client.ip.to_string();
        if self.names
            && let Some(account) = finding.accounts.first()
        {
            let account: String = account.chars().take(LONGEST_NAME).collect();
            let _ = write!(words, " ({})", account.escape_debug());
        }
        if let Some(verdict) = finding.verdict() {
            let _ = write!(words, ", {verdict}");
        }
        words
    }
}

/// The other end of a handle.
pub struct Teller {
    enforcer: Enforcer,
    asks: Receiver<Ask>,
    board: Arc<Board>,
    ended: Arc<AtomicBool>,
    timeout: Duration,
    dry_run: bool,
    /// When it was said last that there are too many.
    too_many: Option<Instant>,
}

impl Enforcer {
    /// A handle, and the thread's part.
    pub fn divide(
        self,
        args: &super::EnforceArgs,
        names: bool,
        board: &Arc<Board>,
    ) -> (Handle, Teller) {
        let (sender, asks) = sync_channel(ROOM);
        let ended = Arc::new(AtomicBool::new(false));
        board.enforced.on.store(true, Ordering::Relaxed);
        let handle = Handle {
            asks: sender,
            board: Arc::clone(board),
            ended: Arc::clone(&ended),
            least: args.least(),
            names,
        };
        let teller = Teller {
            enforcer: self,
            asks,
            board: Arc::clone(board),
            ended,
            timeout: args.timeout(),
            dry_run: args.dry_run(),
            too_many: None,
        };
        (handle, teller)
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
                let answer = Answer::receive(&mut self.enforcer.socket)?;
                self.note(&ask, answer);
            }
        }
        Request::send(&[Request::End], &mut self.enforcer.socket)?;
        match Answer::receive(&mut self.enforcer.socket)? {
            Answer::Done(what) | Answer::Failed { what, .. } => {
                self.board.say(format!("enforce: {what}"));
            }
            _ => {}
        }
        Ok(())
    }

    /// It says nothing that it was not asked for, so that anything to be read is its end.
    fn is_alive(&self) -> io::Result<()> {
        let mut one = [PollFd::new(&self.enforcer.socket, PollFlags::IN)];
        if poll(&mut one, Some(&Timespec::default()))? > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
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
                self.acted(&ask.order, &acted)
            }
            Answer::Spared(why) => {
                Enforced::count(&counts.spared);
                format!("left alone: {}", why.words())
            }
            Answer::TooMany => {
                Enforced::count(&counts.too_many);
                if self.too_many.is_some_and(|said| said.elapsed() < QUIET) {
                    return;
                }
                self.too_many = Some(Instant::now());
                "left alone for now: more connections a minute than --enforce-rate allows; the others are counted, and tried again"
                    .to_owned()
            }
            Answer::Failed { what, .. } => {
                Enforced::count(&counts.failed);
                format!("FAILED: {what}")
            }
            Answer::Already | Answer::Done(_) => return,
        };
        let now = jiff::Zoned::now().strftime("%H:%M:%S").to_string();
        self.board
            .say(format!("enforce: {now} {}: {said}", ask.words));
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
