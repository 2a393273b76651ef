//! The process that may change the firewall, and does little else.

use super::confine::confine;
use super::span;
use super::tell::mark_words;
use super::wire::{Acted, Answer, Inbox, Open, Request};
use crate::cli::apply::BackendArg;
use crate::cli::policy::guard::of_this_machine;
use crate::cli::{CliError, DONE, UNREADABLE, output};
use crate::policy::live::{Connections, Limits, Live, Order, Place, ROOM, Settings, only_one};
use crate::policy::{Mark, ToolError};
use crate::ruleset::RuleSet;
use ipnet::IpNet;
use lru::LruCache;
use nix::ifaddrs::getifaddrs;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
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
    #[arg(long)]
    keep: bool,
    #[arg(long)]
    dry_run: bool,
    #[arg(long)]
    no_sandbox: bool,
}

/// So much a minute, and no more than that at once. What may be done is saved up as time.
struct Rate {
    costs: Duration,
    saved: Duration,
    at: Instant,
}

impl Rate {
    const MOST: Duration = Duration::from_secs(60);

    fn new(a_minute: u32, now: Instant) -> Self {
        Self {
            costs: Self::MOST / a_minute.max(1),
            saved: Self::MOST,
            at: now,
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        let saved = self.saved + now.duration_since(self.at);
        self.saved = saved.min(Self::MOST);
        self.at = now;
        let rest = self.saved.checked_sub(self.costs);
        self.saved = rest.unwrap_or(self.saved);
        rest.is_some()
    }
}

/// What was done about a connection.
#[derive(Clone, Copy)]
enum Dealt {
    Cut(Instant),
    Spared,
}

struct Enforcer {
    live: Live,
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
                    enforcer.end(args.keep).send(&mut socket)?;
                    return Ok(DONE);
                }
            }
        }
        for answer in enforcer.act(&orders) {
            answer.send(&mut socket)?;
        }
        enforcer.look();
    }
    // Whoever listened was killed.
    let begun = enforcer.begun;
    let (words, code) = match enforcer.end(args.keep) {
        Answer::Failed { what, .. } => (what, UNREADABLE),
        Answer::Done(what) => (what, DONE),
        _ => (String::new(), DONE),
    };
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
        Ok(Self {
            live: Live::new(settings),
            settings,
            dry_run: args.dry_run,
            limits,
            rate: Rate::new(args.rate, now),
            connections: None,
            dealt: LruCache::new(REMEMBERED),
            places: HashMap::new(),
            looked: now,
            held: None,
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
            && let Err(what) = confine(self.settings.backend, args.user.as_deref())
        {
            return failed(format!("the enforcer: {what}"));
        }
        match Connections::open() {
            Ok(connections) => self.connections = Some(connections),
            Err(error) => return failed(format!("cannot reach the kernel's connections: {error}")),
        }
        if let Err(error) = self.live.load() {
            return Answer::Failed {
                permission: error.is_permission(),
                what: format!("--enforce cannot load its rules: {error}"),
            };
        }
        self.begun = true;
        Answer::Done(format!(
            "by {}; a server is refused until nobody has tried for {}",
            self.settings.backend.name(),
            span(self.settings.timeout)
        ))
    }

    fn end(&mut self, keep: bool) -> Answer {
        if !self.begun {
            return Answer::Done("nothing was changed".to_owned());
        }
        self.begun = false;
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

    /// Looks, now and then, what this machine is to be reached by, and whether the rules are still there.
    fn look(&mut self) {
        if !self.begun || self.looked.elapsed() < LOOK {
            return;
        }
        let ssh = self.limits.guard.ssh;
        self.limits.guard = of_this_machine();
        self.limits.guard.ssh = ssh;
        self.limits.own = own_addresses();
        self.look_at_rules();
    }

    fn look_at_rules(&mut self) {
        self.looked = Instant::now();
        match self.live.is_whole() {
            Ok(true) => {}
            Ok(false) => self.mend(self.looked),
            Err(error) => output::complain(&format!("enforcer: cannot see the rules: {error}")),
        }
    }

    fn mend(&mut self, now: Instant) {
        let timeout = self.settings.timeout;
        self.places
            .retain(|_, at| now.duration_since(*at) < timeout);
        let places: Vec<Place> = self.places.keys().copied().collect();
        let mended = self.live.load().and_then(|()| {
            if places.is_empty() {
                return Ok(());
            }
            self.live.add(&places)
        });
        match mended {
            Ok(()) => output::complain(&format!(
                "enforcer: somebody took the rules away, or put others before them: loaded again, with {} places",
                places.len()
            )),
            Err(error) => output::complain(&format!(
                "enforcer: somebody took the rules away, and they cannot be loaded again: {error}"
            )),
        }
    }
}

/// What the kernel says of a set with no room.
fn is_full(error: &ToolError) -> bool {
    error.what.contains("Too many open files in system") || error.what.contains("is full")
}

fn own_addresses() -> Vec<IpAddr> {
    let Ok(all) = getifaddrs() else {
        return Vec::new();
    };
    all.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|it| IpAddr::V4(it.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|it| IpAddr::V6(it.ip())))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_that_is_done_in_a_minute() {
        let begun = Instant::now();
        let mut rate = Rate::new(6, begun);
        let at_once = (0..20).filter(|_| rate.take(begun)).count();
        assert_eq!(at_once, 6);
        let mut taken = 0;
        for second in 1..=60 {
            taken += usize::from(rate.take(begun + Duration::from_secs(second)));
        }
        assert_eq!(taken, 6);
        // Nothing is saved up.
        let later = begun + Duration::from_secs(3600);
        assert_eq!((0..20).filter(|_| rate.take(later)).count(), 6);
    }
}
