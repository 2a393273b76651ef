//! One interface: whether it is there, and what to do when it was taken away.

use super::Options;
use super::batch::Batch;
use super::error::LiveError;
use super::tap::Tap;
use pnet::datalink;
use rustix::net::netdevice;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Time between two looks whether the interface is still the one that we listen on.
const LOOK: Duration = Duration::from_secs(1);
/// First and longest wait for an interface that is not there.
const RETRY: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(8)];

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
}

enum State {
    Listening,
    /// The interface is there, and down.
    Down,
    /// It is not there; when to look for it again.
    Gone(Instant),
}

impl Interface {
    /// Begins to listen.
    pub fn open(name: &str, options: &Options) -> Result<Self, LiveError> {
        let (tap, socket) = Tap::open(name, options)?;
        let index = netdevice::name_to_index(&socket, name).ok();
        Ok(Self {
            name: name.to_owned(),
            promiscuous: options.promiscuous,
            tap,
            socket,
            index,
            state: State::Listening,
            backoff: RETRY[0],
            looked: Instant::now(),
        })
    }

    /// What to wait on.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether waiting for packets makes sense.
    pub const fn is_there(&self) -> bool {
        !matches!(self.state, State::Gone(_))
    }

    /// Packets that did not fit into the kernel's buffer for us.
    pub fn dropped(&mut self) -> u64 {
        self.tap.dropped()
    }

    /// Fetches what is there, at most so many frames. What is to be told is told in `notices`.
    pub fn read(&mut self, most: usize, batch: &mut Batch, notices: &mut Vec<String>) {
        if !self.is_there() {
            return;
        }
        let before = batch.len();
        let read = self.tap.read(most, batch);
        if batch.len() > before {
            self.is_up(notices);
        }
        if let Err(error) = read {
            self.failed(&error, notices);
        }
    }

    /// The socket reported an error while waiting.
    pub fn troubled(&mut self, notices: &mut Vec<String>) {
        self.looked = Instant::now();
        self.look(notices);
        if let State::Listening = self.state {
            self.down(notices);
        }
    }

    /// Looks now and then whether the interface is still the one it was.
    pub fn watch(&mut self, now: Instant, notices: &mut Vec<String>) {
        match self.state {
            State::Gone(when) if now >= when => self.come_back(notices),
            State::Gone(_) => {}
            _ if now.duration_since(self.looked) >= LOOK => {
                self.looked = now;
                self.look(notices);
            }
            _ => {}
        }
    }

    fn look(&mut self, notices: &mut Vec<String>) {
        let (Some(bound), State::Listening | State::Down) = (self.index, &self.state) else {
            return;
        };
        match netdevice::name_to_index(&self.socket, &self.name) {
            Ok(index) if index == bound => {}
            Ok(_) => self.come_back(notices),
            Err(_) => {
                notices.push(format!(
                    "{}: the interface is gone; waiting for it to come back",
                    self.name
                ));
                self.wait();
            }
        }
    }

    /// Looks for it again after a while, and longer each time.
    fn wait(&mut self) {
        self.state = State::Gone(Instant::now() + self.backoff);
        self.backoff = (2 * self.backoff).min(RETRY[1]);
    }

    fn failed(&mut self, error: &io::Error, notices: &mut Vec<String>) {
        self.look(notices);
        if !self.is_there() {
            return;
        }
        if error.raw_os_error() == Some(rustix::io::Errno::NETDOWN.raw_os_error()) {
            self.down(notices);
        } else {
            notices.push(format!("{}: {error}; trying again", self.name));
            self.wait();
        }
    }

    fn down(&mut self, notices: &mut Vec<String>) {
        if !matches!(self.state, State::Down) {
            notices.push(format!(
                "{}: the interface is down; waiting for it to come up",
                self.name
            ));
            self.state = State::Down;
        }
    }

    fn is_up(&mut self, notices: &mut Vec<String>) {
        self.backoff = RETRY[0];
        if !matches!(self.state, State::Listening) {
            notices.push(format!("{}: packets again", self.name));
            self.state = State::Listening;
        }
    }

    /// Binds the socket to what bears the name now.
    fn come_back(&mut self, notices: &mut Vec<String>) {
        let bound = self.bind();
        match bound {
            Ok(index) => {
                notices.push(format!(
                    "{}: the interface is back; listening on it",
                    self.name
                ));
                self.index = Some(index);
                self.state = State::Listening;
            }
            Err(error) => {
                if error.raw_os_error() != Some(rustix::io::Errno::NODEV.raw_os_error()) {
                    notices.push(format!(
                        "{}: cannot listen on it again: {error}; trying again",
                        self.name
                    ));
                }
                self.wait();
            }
        }
    }

    fn bind(&self) -> io::Result<u32> {
        let index = netdevice::name_to_index(&self.socket, &self.name)?;
        bind(&self.socket, &self.name, index, self.promiscuous)?;
        Ok(index)
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
