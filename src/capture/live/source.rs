//! Interfaces as one source.

use super::batch::Batch;
use super::counters::{Counters, Drops};
use super::error::LiveError;
use super::interface::Interface;
use super::link::{Link, Links};
use super::{Options, devices, names as device_names};
use crate::capture::{CaptureError, FrameSource, Frames, SourceStats};
use crate::model::Timestamp;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use std::os::fd::OwnedFd;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Longest wait for a frame, in nanoseconds: timeouts go on without any.
const TICK: i64 = 50_000_000;

/// Several interfaces, listened on together.
pub struct Live {
    interfaces: Vec<Interface>,
    /// Whose turn it is first.
    turn: usize,
    batch: Batch,
    counters: Counters,
    links: Option<Links>,
    stats: SourceStats,
    notices: Vec<String>,
    /// What ends a wait as well.
    beside: Option<OwnedFd>,
}

impl Live {
    /// Begins to listen on all of them.
    pub fn open(names: &[String], options: &Options) -> Result<Self, LiveError> {
        let known: Vec<String> = devices()
            .map(|all| all.into_iter().map(|device| device.name).collect())
            .unwrap_or_default();
        // Where the system does not tell, packets alone say how an interface is.
        let links = Links::open().ok();
        let mut interfaces = Vec::new();
        for name in names {
            let there = known.contains(name) || cfg!(not(have_libpcap)) && name == "any";
            if !there && !known.is_empty() {
                let name = name.clone();
                let mut known = device_names();
                known.sort();
                return Err(LiveError::NoSuchInterface { name, known });
            }
            // Of libpcap and a packet socket one refuses such an interface, the other says nothing.
            if links.as_ref().and_then(|it| it.named(name)) == Some(Link::Down) {
                let name = name.clone();
                return Err(LiveError::Down { name });
            }
            interfaces.push(Interface::open(name, options)?);
        }
        Ok(Self {
            links,
            interfaces,
            turn: 0,
            batch: Batch::default(),
            counters: Counters::new(names),
            stats: SourceStats::default(),
            notices: Vec::new(),
            beside: None,
        })
    }

    /// From now on, what comes here ends a wait for frames as well: there are none then.
    pub fn wake_on(&mut self, beside: OwnedFd) {
        self.beside = Some(beside);
    }

    /// What happened to the interfaces since it was asked last.
    pub fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// Packets lost until now.
    pub fn drops(&mut self) -> Drops {
        let ring = self.interfaces.iter_mut().map(Interface::dropped).sum();
        self.stats.dropped = ring;
        Drops {
            ring,
            kernel: self.counters.kernel_drops(),
            interface: self.counters.interface_drops(),
        }
    }

    fn fetch(&mut self, most: usize) {
        let Self {
            interfaces,
            turn,
            batch,
            links,
            notices,
            ..
        } = self;
        // Whoever comes last today is first tomorrow: a busy interface does not starve the others.
        *turn = (*turn + 1) % interfaces.len().max(1);
        let (after, before) = interfaces.split_at_mut(*turn);
        for interface in before.iter_mut().chain(after) {
            let room = most.saturating_sub(batch.len());
            if room == 0 {
                break;
            }
            interface.read(room, batch, links.as_mut(), notices);
        }
    }

    /// Waits until there is something on one of them, or for a while.
    fn wait(&mut self) {
        let there = self.interfaces.iter().filter(|it| it.is_there());
        let mut waiting: Vec<PollFd<'_>> = there
            .map(|it| PollFd::from_borrowed_fd(it.socket(), PollFlags::IN))
            .chain(self.beside.iter().map(|it| PollFd::new(it, PollFlags::IN)))
            .collect();
        let tick = Timespec {
            tv_sec: 0,
            tv_nsec: TICK,
        };
        // An interruption is a signal: the caller looks after those.
        let _ = poll(&mut waiting, Some(&tick));
        let troubled: Vec<bool> = waiting
            .iter()
            .map(|fd| fd.revents().intersects(PollFlags::ERR | PollFlags::HUP))
            .collect();
        drop(waiting);
        let there = self.interfaces.iter_mut().filter(|it| it.is_there());
        for (interface, _) in there.zip(troubled).filter(|(_, troubled)| *troubled) {
            interface.troubled(self.links.as_mut(), &mut self.notices);
        }
    }
}

impl FrameSource for Live {
    fn next_frames(&mut self, most: usize) -> Result<Frames<'_>, CaptureError> {
        self.batch.clear();
        let now = Instant::now();
        for interface in &mut self.interfaces {
            interface.watch(now, self.links.as_mut(), &mut self.notices);
        }
        // As long as one of them works or may come back there is something to wait for.
        let hopeless: Option<Vec<String>> =
            self.interfaces.iter().map(Interface::hopeless).collect();
        if let Some(reasons) = hopeless {
            let reasons = reasons.join("; ");
            return Err(CaptureError::Interfaces { reasons });
        }
        self.fetch(most);
        if self.batch.len() == 0 {
            self.wait();
            self.fetch(most);
        }
        self.stats.frames += self.batch.len() as u64;
        self.stats.bytes += self.batch.bytes() as u64;
        Ok(self.batch.frames())
    }

    fn pause(&self) -> Option<Timestamp> {
        Some(now())
    }

    fn stats(&self) -> SourceStats {
        self.stats
    }
}

/// The system's time.
pub fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
