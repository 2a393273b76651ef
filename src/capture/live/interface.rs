//! One interface: whether it is there, and what to do when it was taken away.

use super::Options;
use super::batch::Batch;
use super::error::LiveError;
use super::link::{Link, Links};
use super::tap::Tap;
use pnet::datalink;
use rustix::net::netdevice;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Time between two looks whether the interface is still the one that we listen on, and how its link is.
const LOOK: Duration = Duration::from_millis(500);
/// First and longest wait for an interface that is not there, or that gives an error.
const RETRY: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(8)];
/// So many errors in a row, and there is no hope: half a minute, as the waits grow.
const HOPELESS: u32 = 8;
/// After so long without a further error, an interface works again.
const SETTLED: Duration = Duration::from_secs(1);

/// An interface that is listened on.
pub struct Interface {
    name: String,
    promiscuous: bool,
    tap: Tap,
    /// The socket, a second time: to wait for packets, to ask by and to bind again.
    socket: OwnedFd,
    /// The index it is bound to; none of `any`.
    index: Option<u32>,
    state: State,
    /// How long to wait before the next try.
    backoff: Duration,
    looked: Instant,
    /// Errors since it last worked: how many, the last one, and when.
    errors: u32,
    error: String,
    failed: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Listening,
    /// The interface is there, and nothing can come from it.
    Silent(Link),
    /// It is not there; when to look for it again.
    Gone(Instant),
    /// It gave an error; when to try again.
    Failing(Instant),
}

impl Interface {
    /// Begins to listen.
    pub fn open(name: &str, options: &Options) -> Result<Self, LiveError> {
        let (tap, socket) = Tap::open(name, options)?;
        let index = netdevice::name_to_index(&socket, name).ok();
        let now = Instant::now();
        Ok(Self {
            name: name.to_owned(),
            promiscuous: options.promiscuous,
            tap,
            socket,
            index,
            state: State::Listening,
            backoff: RETRY[0],
            // So that its link is looked at before anything is waited for.
            looked: now.checked_sub(LOOK).unwrap_or(now),
            errors: 0,
            error: String::new(),
            failed: now,
        })
    }

    /// What to wait on.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether waiting for packets makes sense.
    pub const fn is_there(&self) -> bool {
        matches!(self.state, State::Listening | State::Silent(_))
    }

    /// What is wrong with it, where trying again has been no help for long.
    pub fn hopeless(&self) -> Option<String> {
        (self.errors >= HOPELESS).then(|| format!("{}: {}", self.name, self.error))
    }

    /// Packets that did not fit into the kernel's buffer for us.
    pub fn dropped(&mut self) -> u64 {
        self.tap.dropped()
    }

    /// Fetches what is there, at most so many frames. What is to be told is told in `notices`.
    pub fn read(
        &mut self,
        most: usize,
        batch: &mut Batch,
        links: Option<&mut Links>,
        notices: &mut Vec<String>,
    ) {
        if !self.is_there() {
            return;
        }
        let before = batch.len();
        let read = self.tap.read(most, batch);
        if let Err(error) = read {
            self.has_failed(&error, links, notices);
        } else {
            if self.errors > 0 && self.failed.elapsed() >= SETTLED {
                self.errors = 0;
                self.backoff = RETRY[0];
                notices.push(format!("{}: listening again", self.name));
            }
            if batch.len() > before {
                self.has_come(links.is_some(), notices);
            }
        }
    }

    /// The socket reported an error while waiting.
    pub fn troubled(&mut self, links: Option<&mut Links>, notices: &mut Vec<String>) {
        self.looked = Instant::now();
        let is_told = links.is_some();
        self.look(links, notices);
        if self.state == State::Listening && !is_told {
            self.link_is(Link::Down, notices);
        }
    }

    /// Looks now and then whether the interface is still the one it was, and how its link is.
    pub fn watch(&mut self, now: Instant, links: Option<&mut Links>, notices: &mut Vec<String>) {
        match self.state {
            State::Gone(when) | State::Failing(when) if now >= when => self.come_back(notices),
            State::Gone(_) | State::Failing(_) => {}
            _ if now.duration_since(self.looked) >= LOOK => {
                self.looked = now;
                self.look(links, notices);
            }
            _ => {}
        }
    }

    fn look(&mut self, links: Option<&mut Links>, notices: &mut Vec<String>) {
        let (Some(bound), true) = (self.index, self.is_there()) else {
            return;
        };
        match netdevice::name_to_index(&self.socket, &self.name) {
            Ok(index) if index == bound => {
                let told = links.and_then(|links| {
                    links.update();
                    links.of(index)
                });
                if let Some(link) = told {
                    self.link_is(link, notices);
                }
            }
            Ok(_) => self.come_back(notices),
            Err(_) => {
                notices.push(format!(
                    "{}: the interface is gone; waiting for it to come back",
                    self.name
                ));
                self.state = State::Gone(self.next_try());
            }
        }
    }

    /// When to try again: after a while, and longer each time.
    fn next_try(&mut self) -> Instant {
        let when = Instant::now() + self.backoff;
        self.backoff = (2 * self.backoff).min(RETRY[1]);
        when
    }

    fn has_failed(
        &mut self,
        error: &io::Error,
        links: Option<&mut Links>,
        notices: &mut Vec<String>,
    ) {
        // An interface that was taken away or switched off is the reason for what its socket says.
        self.look(links, notices);
        if !self.is_there() || self.state == State::Silent(Link::Down) {
            return;
        }
        if error.raw_os_error() == Some(rustix::io::Errno::NETDOWN.raw_os_error()) {
            self.link_is(Link::Down, notices);
        } else {
            self.fails(error, notices);
        }
    }

    /// It gave an error that nothing explains.
    fn fails(&mut self, error: &io::Error, notices: &mut Vec<String>) {
        // Whatever else it says afterwards, it is told of once.
        if self.errors == 0 {
            notices.push(format!("{}: {error}; trying again", self.name));
        }
        self.errors += 1;
        self.error = error.to_string();
        self.failed = Instant::now();
        if self.errors == HOPELESS {
            notices.push(format!(
                "{}: {error}; it was tried {HOPELESS} times, and is tried on as long as another interface works",
                self.name
            ));
        }
        self.state = State::Failing(self.next_try());
    }

    fn link_is(&mut self, link: Link, notices: &mut Vec<String>) {
        let before = match self.state {
            State::Silent(link) => link,
            _ => Link::Up,
        };
        if link == before {
            return;
        }
        let what = match (before, link) {
            (_, Link::Down) => "the interface is down; waiting for it to come up",
            (_, Link::NoCarrier) => {
                "no link: nothing is at the other end; waiting for it to come back"
            }
            (Link::NoCarrier, _) => "the link is back",
            _ => "the interface is up again",
        };
        notices.push(format!("{}: {what}", self.name));
        self.state = match link {
            Link::Up => State::Listening,
            silent => State::Silent(silent),
        };
    }

    /// Packets came. Where the system tells how links are, these may be older than what it told.
    fn has_come(&mut self, is_told: bool, notices: &mut Vec<String>) {
        self.backoff = RETRY[0];
        if !is_told && self.state != State::Listening {
            notices.push(format!("{}: packets again", self.name));
            self.state = State::Listening;
        }
    }

    /// Binds the socket to what bears the name now.
    fn come_back(&mut self, notices: &mut Vec<String>) {
        let was_failing = matches!(self.state, State::Failing(_));
        match self.bind() {
            Ok(index) => {
                if !was_failing {
                    notices.push(format!(
                        "{}: the interface is back; listening on it",
                        self.name
                    ));
                }
                self.index = index;
                self.state = State::Listening;
            }
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error()) => {
                if was_failing {
                    notices.push(format!(
                        "{}: the interface is gone; waiting for it to come back",
                        self.name
                    ));
                    self.errors = 0;
                }
                self.state = State::Gone(self.next_try());
            }
            Err(error) => self.fails(&error, notices),
        }
    }

    fn bind(&self) -> io::Result<Option<u32>> {
        // `any` is bound to none, and stays so.
        if self.index.is_none() {
            return Ok(None);
        }
        let index = netdevice::name_to_index(&self.socket, &self.name)?;
        bind(&self.socket, &self.name, index, self.promiscuous)?;
        Ok(Some(index))
    }
}

/// Binds a packet socket to an interface. That takes no right that the socket has not given already.
pub fn bind(socket: &OwnedFd, name: &str, index: u32, promiscuous: bool) -> io::Result<()> {
    let interface = datalink::NetworkInterface {
        name: name.to_owned(),
        description: String::new(),
        index,
        mac: None,
        ips: Vec::new(),
        flags: 0,
    };
    let config = datalink::Config {
        promiscuous,
        // It closes what it is given.
        socket_fd: Some(socket.try_clone()?.into_raw_fd()),
        ..datalink::Config::default()
    };
    datalink::channel(&interface, config).map(drop)
}
