//! One end of a cable.

use super::ProveError;
use pnet::datalink::{self, Channel, Config, DataLinkReceiver, DataLinkSender, MacAddr};
use std::time::{Duration, Instant};

/// Ethernet's header.
const ETHERNET: usize = 14;
/// How long a packet is waited for that should come. The kernel is done with it when `send` returns; this is for a machine
/// that is busy with something else.
const PATIENCE: Duration = Duration::from_millis(200);
/// Longer frames than any packet gives.
const FRAME: usize = 70_000;

/// The far end of a cable whose other end is the router's.
pub struct Wire {
    name: &'static str,
    header: [u8; 12],
    sender: Box<dyn DataLinkSender>,
    receiver: Box<dyn DataLinkReceiver>,
}

impl Wire {
    /// The end of this name; `router` is the other one.
    pub fn new(name: &'static str, router: &str) -> Result<Self, ProveError> {
        let failed = |what: String| ProveError::Wire { end: name, what };
        let all = datalink::interfaces();
        let find = |name: &str| all.iter().find(|it| it.name == name).cloned();
        let (Some(own), Some(other)) = (find(name), find(router)) else {
            return Err(failed("it was not made".to_owned()));
        };
        let config = Config {
            write_buffer_size: FRAME,
            read_buffer_size: FRAME,
            read_timeout: Some(Duration::ZERO),
            ..Config::default()
        };
        let (sender, receiver) = match datalink::channel(&own, config) {
            Ok(Channel::Ethernet(sender, receiver)) => (sender, receiver),
            Ok(_) => return Err(failed("it is no Ethernet".to_owned())),
            Err(error) => return Err(failed(error.to_string())),
        };
        let octets = |mac: Option<MacAddr>| mac.unwrap_or_default().octets();
        let mut header = [0; 12];
        let (to, from) = header.split_at_mut(6);
        to.copy_from_slice(&octets(other.mac));
        from.copy_from_slice(&octets(own.mac));
        Ok(Self {
            name,
            header,
            sender,
            receiver,
        })
    }

    /// Sends an IP packet.
    pub fn send(&mut self, packet: &[u8]) -> Result<(), ProveError> {
        let kind: u16 = match packet.first().map(|byte| byte >> 4) {
            Some(6) => 0x86DD,
            _ => 0x0800,
        };
        let frame = [&self.header[..], &kind.to_be_bytes(), packet].concat();
        match self.sender.send_to(&frame, None) {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(ProveError::Wire {
                end: self.name,
                what: error.to_string(),
            }),
            None => Err(ProveError::Wire {
                end: self.name,
                what: "the packet is too long".to_owned(),
            }),
        }
    }

    /// The next IP packet that has arrived; `None` if there is none now.
    fn next(&mut self) -> Result<Option<&[u8]>, ProveError> {
        match self.receiver.next() {
            Ok(frame) => Ok(Some(frame.get(ETHERNET..).unwrap_or_default())),
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => Ok(None),
            Err(error) => Err(ProveError::Wire {
                end: self.name,
                what: error.to_string(),
            }),
        }
    }

    /// The newest refusal among what has arrived.
    pub fn last_refusal(&mut self) -> Result<Refusal, ProveError> {
        let mut last = Refusal::Silent;
        while let Some(packet) = self.next()? {
            last = Refusal::of(packet).unwrap_or(last);
        }
        Ok(last)
    }

    /// Whether this packet is among those that have arrived. Older ones are forgotten.
    pub fn has(&mut self, packet: &[u8]) -> Result<bool, ProveError> {
        while let Some(arrived) = self.next()? {
            if same(arrived, packet) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Leaves everything aside that has arrived.
    pub fn forget(&mut self) -> Result<(), ProveError> {
        while self.next()?.is_some() {}
        Ok(())
    }

    /// Waits until the marker arrives, and gives what did before.
    pub fn before(&mut self, marker: &[u8]) -> Result<Vec<Vec<u8>>, ProveError> {
        let begun = Instant::now();
        let mut all = Vec::new();
        loop {
            while let Some(arrived) = self.next()? {
                if same(arrived, marker) {
                    return Ok(all);
                }
                all.push(arrived.to_vec());
            }
            if begun.elapsed() > PATIENCE {
                return Ok(all);
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    /// Waits until the marker arrives, and says whether the packet did before.
    pub fn awaits(&mut self, packet: &[u8], marker: &[u8]) -> Result<bool, ProveError> {
        let begun = Instant::now();
        loop {
            while let Some(arrived) = self.next()? {
                if same(arrived, packet) {
                    return Ok(true);
                }
                if same(arrived, marker) {
                    return Ok(false);
                }
            }
            if begun.elapsed() > PATIENCE {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

/// How a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// With a TCP reset.
    Reset,
    /// With an ICMP error.
    Unreachable,
    /// Without a word.
    Silent,
}

impl Refusal {
    /// What this packet says, if it refuses anything.
    fn of(packet: &[u8]) -> Option<Self> {
        const RESET: u8 = 4;
        let (protocol, header) = match packet.first().map(|byte| (byte >> 4, byte & 15)) {
            Some((4, words)) => (*packet.get(9)?, usize::from(words) * 4),
            Some((6, _)) => (*packet.get(6)?, 40),
            _ => return None,
        };
        match protocol {
            6 => (packet.get(header + 13)? & RESET != 0).then_some(Self::Reset),
            // Destination unreachable, of ICMP and of ICMPv6; a cable's neighbours talk as well.
            1 => (*packet.get(header)? == 3).then_some(Self::Unreachable),
            58 => (*packet.get(header)? == 1).then_some(Self::Unreachable),
            _ => None,
        }
    }
}

/// Whether a packet is the one that was sent, but for what a router changes: hops left, and the checksum over them.
fn same(arrived: &[u8], sent: &[u8]) -> bool {
    let behind = match sent.first().map(|byte| byte >> 4) {
        Some(6) => 8,
        _ => 12,
    };
    let length = sent.len();
    match (arrived.get(behind..length), sent.get(behind..)) {
        (Some(arrived), Some(sent)) => arrived == sent,
        _ => false,
    }
}
