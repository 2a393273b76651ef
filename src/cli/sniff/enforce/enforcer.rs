//! The process that may change the firewall, and does little else.

mod look;

use super::confine::confine;
use super::gate::{Fate, Gate};
use super::rate::Rate;
use super::span;
use super::tell::mark_words;
use super::wire::{Acted, Answer, Inbox, Open, Request};
use crate::cli::apply::BackendArg;
use crate::cli::policy::guard::of_this_machine;
use crate::cli::{CliError, DONE, UNREADABLE, output};
use crate::policy::live::{
    Connections, Hold, Limits, Live, Order, PACKETS, Place, QUEUE, Queue, ROOM, Settings, only_one,
};
use crate::policy::prove::Backend;
use crate::policy::{Mark, ToolError};
use crate::ruleset::RuleSet;
use ipnet::IpNet;
use look::own_addresses;
use lru::LruCache;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// How often it looks whether the rules are still there.
const LOOK: Duration = Duration::from_secs(5);
/// A connection that goes on for so long after it was marked has lost its mark.
const AGAIN: Duration = Duration::from_secs(30);
/// Connections that are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(8191);
/// One that was killed a moment ago has rules to take away.
const PATIENCE: Duration = Duration::from_secs(5);

/// What it is told.
#[derive(Clone, Debug, clap::Args)]
pub struct EnforcerArgs {
    #[arg(long, value_enum)]
    backend: BackendArg,
    #[arg(long)]
    mark: Mark,
    #[arg(long)]
    timeout: u64,
    #[arg(long)]
    rate: u32,
    #[arg(long, value_parser = crate::cli::policy::net)]
    allow: Vec<IpNet>,
    #[arg(long)]
    rules: Option<PathBuf>,
    #[arg(long)]
    user: Option<String>,
    /// What packets are held by, if they are to be.
    #[arg(long, value_enum)]
    hold_by: Option<BackendArg>,
    #[arg(long = "interface")]
    interfaces: Vec<String>,
    #[arg(long)]
    keep: bool,
    #[arg(long)]
    dry_run: bool,
    #[arg(long)]
    no_sandbox: bool,
}

/// What was done about a connection.
#[derive(Clone, Copy)]
enum Dealt {
    Cut(Instant),
    Spared,
}

struct Enforcer {
    live: Live,
    /// Packets are to be held.
    holds: bool,
    settings: Settings,
    dry_run: bool,
    limits: Limits,
    rate: Rate,
    connections: Option<Connections>,
    dealt: LruCache<Order, Dealt>,
    /// When each was refused last.
    places: HashMap<Place, Instant>,
    looked: Instant,
    /// Nobody else does this here.
    held: Option<UnixListener>,
    /// Holds the first packets of connections.
    gate: Option<Gate>,
    /// What is to be said, to the one that listens.
    words: Vec<String>,
    /// The rules are loaded.
    begun: bool,
}

/// What it does.
pub fn enforce(args: &EnforcerArgs) -> Result<u8, CliError> {
    rustix::process::setsid().map_err(io::Error::from)?;
    // It ends with the one that listens, and not before: rules are to be taken away.
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    std::env::set_current_dir("/")?;
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    socket.set_read_timeout(Some(LOOK))?;
    let mut enforcer = Enforcer::new(args)?;
    let mut inbox = Inbox::default();
    loop {
        let requests = match inbox.receive(&mut socket) {
            Ok(requests) if requests.is_empty() => break,
            Ok(requests) => requests,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                enforcer.look();
                enforcer.say(&mut socket)?;
                continue;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => {
                output::complain(&format!("enforcer: {error}"));
                break;
            }
        };
        let mut orders = Vec::new();
        for request in &requests {
            match request {
                Request::Cut(order) => orders.push(*order),
                Request::Begin => enforcer.begin(args).send(&mut socket)?,
                Request::End => {
                    let ended = enforcer.end(args.keep);
                    enforcer.say(&mut socket)?;
                    ended.send(&mut socket)?;
                    return Ok(DONE);
                }
            }
        }
        for answer in enforcer.act(&orders) {
            answer.send(&mut socket)?;
        }
        enforcer.look();
        enforcer.say(&mut socket)?;
    }
    // Whoever listened was killed.
    let begun = enforcer.begun;
    let (words, code) = match enforcer.end(args.keep) {
        Answer::Failed { what, .. } => (what, UNREADABLE),
        Answer::Done(what) => (what, DONE),
        _ => (String::new(), DONE),
    };
    // There is nobody left to say it to.
    for what in enforcer.words {
        output::complain(&format!("enforcer: {what}"));
    }
    if begun {
        output::complain(&format!("enforcer: nobody listens any more; {words}"));
    }
    Ok(code)
}

impl Enforcer {
    fn new(args: &EnforcerArgs) -> Result<Self, CliError> {
        let rules = match &args.rules {
            Some(folder) => RuleSet::load_dir(folder)?,
            None => RuleSet::builtin()?,
        };
        let settings = Settings {
            backend: args.backend.backend()?,
            mark: args.mark,
            timeout: Duration::from_secs(args.timeout),
        };
        let limits = Limits {
            guard: of_this_machine(),
            excepted: args.allow.clone(),
            own: own_addresses(),
            shared: Limits::shared_ports(&rules),
        };
        let now = Instant::now();
        let hold = match args.hold_by {
            Some(by) => Some(Hold {
                by: by.backend()?,
                interfaces: args.interfaces.clone(),
            }),
            None => None,
        };
        Ok(Self {
            holds: hold.is_some(),
            live: Live::new(settings, hold),
            settings,
            dry_run: args.dry_run,
            limits,
            rate: Rate::new(args.rate, now),
            connections: None,
            dealt: LruCache::new(REMEMBERED),
            places: HashMap::new(),
            looked: now,
            held: None,
            gate: None,
            words: Vec::new(),
            begun: false,
        })
    }

    /// Takes what it needs, gives up the rest, loads the rules.
    fn begin(&mut self, args: &EnforcerArgs) -> Answer {
        if self.dry_run {
            output::complain(&format!(
                "enforce: --dry-run, nothing is changed; this would be loaded:\n{}",
                self.live.text()
            ));
            return Answer::Done("only said, not done (--dry-run)".to_owned());
        }
        let failed = |what: String| Answer::Failed {
            permission: false,
            what,
        };
        let lacking = caps::has_cap(
            None,
            caps::CapSet::Effective,
            caps::Capability::CAP_NET_ADMIN,
        );
        if !lacking.unwrap_or(true) {
            return Answer::Failed {
                permission: true,
                what: "--enforce changes the firewall, which this process may not".to_owned(),
            };
        }
        self.held = only_one(PATIENCE);
        if self.held.is_none() {
            return failed(
                "another imwarden enforces in this network already: stop it, or let it have all interfaces (-i A -i B)"
                    .to_owned(),
            );
        }
        if !args.no_sandbox
            && let Err(what) = confine(
                self.settings.backend == Backend::Nftables && !self.holds,
                args.user.as_deref(),
            )
        {
            return failed(format!("the enforcer: {what}"));
        }
        match Connections::open() {
            Ok(connections) => self.connections = Some(connections),
            Err(error) => return failed(format!("cannot reach the kernel's connections: {error}")),
        }
        // Before there is a rule that sends anything there.
        if self.holds {
            match self.open_gate() {
                Ok(gate) => self.gate = Some(gate),
                Err(error) => {
                    return failed(format!(
                        "--inline cannot hold packets: {}",
                        explained(&error)
                    ));
                }
            }
        }
        if let Err(error) = self.live.load() {
            // A part of them may be there.
            let _ = self.live.remove();
            return Answer::Failed {
                permission: error.is_permission(),
                what: format!("--enforce cannot load its rules: {error}"),
            };
        }
        self.begun = true;
        let held = if self.holds {
            format!(
                "; the first {PACKETS} packets of a connection wait until it is known what it is"
            )
        } else {
            String::new()
        };
        Answer::Done(format!(
            "by {}; a server is refused until nobody has tried for {}{held}",
            self.settings.backend.name(),
            span(self.settings.timeout)
        ))
    }

    fn open_gate(&self) -> io::Result<Gate> {
        let listener = io::stdout().as_fd().try_clone_to_owned()?;
        Gate::begin(Queue::open(QUEUE)?, listener, self.settings.mark)
    }

    fn end(&mut self, keep: bool) -> Answer {
        if !self.begun {
            return Answer::Done("nothing was changed".to_owned());
        }
        self.begun = false;
        // Whatever stays in force, nothing is held without somebody who looks at it.
        let let_go = self.live.let_go();
        self.gate = None;
        if let Err(error) = let_go {
            self.words.push(format!(
                "what holds packets could not be taken away, and lets everything pass: {error}"
            ));
        }
        if keep {
            return Answer::Done(
                "the rules stay (--keep); `imwarden undo --all` takes them away".to_owned(),
            );
        }
        match self.live.remove() {
            Ok(()) => Answer::Done("the rules were taken away".to_owned()),
            Err(error) => Answer::Failed {
                permission: error.is_permission(),
                what: format!("the rules could not be taken away: {error}"),
            },
        }
    }

    /// Marks all of them first, since that takes no time, and has the firewall refuse their servers together.
    fn act(&mut self, orders: &[Order]) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(orders.len());
        let mut places: Vec<Place> = Vec::new();
        for order in orders {
            let answer = self.cut(order);
            if let Answer::Acted(Acted { place: Ok(()), .. }) = &answer {
                places.push(order.place());
            }
            if let Some(gate) = &self.gate {
                gate.settle(order, fate(&answer));
            }
            answers.push(answer);
        }
        if places.is_empty() || self.dry_run {
            return answers;
        }
        let mut added: HashMap<Place, Result<(), ToolError>> = HashMap::new();
        if self.live.add(&places).is_err() {
            // One that does not fit keeps the others out; or the rules are gone.
            self.look_at_rules();
            for place in places {
                added.insert(place, self.live.add(&[place]));
            }
        }
        for (order, answer) in orders.iter().zip(&mut answers) {
            let Answer::Acted(acted) = answer else {
                continue;
            };
            let place = order.place();
            match added.get(&place) {
                Some(Err(error)) if acted.place.is_ok() => {
                    self.places.remove(&place);
                    if is_full(error) {
                        acted.place = Err(Open::Full);
                    } else {
                        *answer = Answer::Failed {
                            permission: false,
                            what: error.to_string(),
                        };
                    }
                }
                _ => {}
            }
        }
        answers
    }

    /// Decides about a connection and cuts it. `Ok` for its place says that it is to be added.
    fn cut(&mut self, order: &Order) -> Answer {
        let now = Instant::now();
        let known = self.dealt.get(order).copied();
        match known {
            Some(Dealt::Spared) => return Answer::Already,
            Some(Dealt::Cut(at)) if now.duration_since(at) < AGAIN => return Answer::Already,
            _ => {}
        }
        let narrow = match self.limits.judge(order) {
            Ok(narrow) => narrow,
            Err(why) => {
                self.dealt.put(*order, Dealt::Spared);
                return Answer::Spared(why);
            }
        };
        if known.is_none() && !self.rate.take(now) {
            return Answer::TooMany;
        }
        let cut = match &mut self.connections {
            Some(connections) => match connections.mark(order, self.settings.mark) {
                Ok(cut) => cut,
                Err(error) => {
                    return Answer::Failed {
                        permission: error.kind() == ErrorKind::PermissionDenied,
                        what: format!("cannot mark the connection: {error}"),
                    };
                }
            },
            None => self.dry_run,
        };
        self.dealt.put(*order, Dealt::Cut(now));
        let place = match narrow {
            Some(why) => Err(Open::Narrow(why)),
            None => self.refuse(order.place(), now),
        };
        if known.is_some() && place.is_err() {
            return Answer::Already;
        }
        let words = if self.dry_run {
            let mut words = mark_words(order, self.settings.mark);
            if place.is_ok() {
                words = format!("{words}; {}", self.live.add_words(&order.place()));
            }
            words
        } else {
            String::new()
        };
        Answer::Acted(Acted { cut, place, words })
    }

    /// Whether a place is to be added now: it is not if that was done a moment ago.
    fn refuse(&mut self, place: Place, now: Instant) -> Result<(), Open> {
        let timeout = self.settings.timeout;
        let fresh = |at: &Instant| now.duration_since(*at) < timeout / 2;
        if self.places.get(&place).is_some_and(fresh) {
            return Err(Open::Refused);
        }
        if self.places.len() >= ROOM {
            self.places
                .retain(|_, at| now.duration_since(*at) < timeout);
        }
        if self.places.len() >= ROOM {
            return Err(Open::Full);
        }
        self.places.insert(place, now);
        Ok(())
    }

    /// Says what there is to say.
    fn say(&mut self, socket: &mut UnixStream) -> io::Result<()> {
        for what in self.words.drain(..) {
            Answer::Word(what).send(socket)?;
        }
        Ok(())
    }
}

/// What that means for packets that wait.
const fn fate(answer: &Answer) -> Fate {
    match answer {
        Answer::Acted(Acted { cut: true, .. }) => Fate::Cut,
        Answer::Already => Fate::Known,
        _ => Fate::Left,
    }
}

/// Why there is no queue to hold packets in.
fn explained(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EBUSY) => format!("somebody else has the queue {QUEUE}"),
        Some(libc::EINVAL | libc::EOPNOTSUPP | libc::EPROTONOSUPPORT) => {
            format!(
                "this kernel has no NFQUEUE ({error}); sudo modprobe nfnetlink_queue may bring it"
            )
        }
        _ => error.to_string(),
    }
}

/// What the kernel says of a set with no room.
fn is_full(error: &ToolError) -> bool {
    error.what.contains("Too many open files in system") || error.what.contains("is full")
}
