//! Listening through libpcap: a ring that the kernel fills, and filters in the kernel.

use super::Options;
use super::batch::Batch;
use super::error::LiveError;
use crate::model::{LinkType, Timestamp};
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use pcap::{Active, Capture, Precision};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType,
    recvmsg, socketpair,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};

/// Packets are handed over when a block of the ring is full, or after so many milliseconds.
const HAND_OVER: i32 = 20;

/// A capture of libpcap's.
pub struct Tap {
    capture: Capture<Active>,
    link: LinkType,
    /// libpcap counts with 32 bits.
    counted: u32,
    dropped: u64,
}

impl Tap {
    /// Opens it, with a second handle for its socket.
    pub fn open(name: &str, options: &Options) -> Result<(Self, OwnedFd), LiveError> {
        let failed = |error: &pcap::Error| {
            let reason = match error {
                pcap::Error::PcapError(reason) => reason.clone(),
                other => other.to_string(),
            };
            if reason.contains("permission") || reason.contains("not permitted") {
                return LiveError::permission(name);
            }
            LiveError::Open {
                name: name.to_owned(),
                reason,
            }
        };
        let capture = Capture::from_device(name)
            .map_err(|error| failed(&error))?
            .promisc(options.promiscuous && name != "any")
            .snaplen(i32::try_from(options.snap_len).unwrap_or(i32::MAX))
            .buffer_size(i32::try_from(options.buffer).unwrap_or(i32::MAX))
            .timeout(HAND_OVER)
            .immediate_mode(options.immediate)
            .precision(Precision::Nano)
            .open()
            .map_err(|error| failed(&error))?;
        let mut capture = capture.setnonblock().map_err(|error| failed(&error))?;
        if let Some(filter) = &options.filter {
            capture
                .filter(filter, true)
                .map_err(|error| LiveError::Filter {
                    filter: filter.clone(),
                    reason: match error {
                        pcap::Error::PcapError(reason) => reason,
                        other => other.to_string(),
                    },
                })?;
        }
        let socket = second_handle(&capture).map_err(|error| LiveError::Open {
            name: name.to_owned(),
            reason: format!("its socket cannot be waited on: {error}"),
        })?;
        let link = LinkType(capture.get_datalink().0.cast_unsigned());
        let tap = Self {
            capture,
            link,
            counted: 0,
            dropped: 0,
        };
        Ok((tap, socket))
    }

    /// Fetches at most so many frames, without waiting.
    pub fn read(&mut self, most: usize, batch: &mut Batch) -> io::Result<()> {
        let link = self.link;
        let take = |packet: pcap::Packet<'_>| {
            let time = packet.header.ts;
            // With this precision the fraction is in nanoseconds.
            #[allow(clippy::unnecessary_cast, reason = "32 bits on some systems")]
            let nanos = time.tv_sec as i64 * 1_000_000_000 + time.tv_usec as i64;
            batch.push(
                Timestamp::from_nanos(nanos),
                link,
                packet.data,
                packet.header.len,
            );
        };
        match self.capture.dispatch(Some(most), take) {
            Ok(_) | Err(pcap::Error::TimeoutExpired) => Ok(()),
            Err(error) => Err(io::Error::other(match error {
                pcap::Error::PcapError(reason) => reason,
                other => other.to_string(),
            })),
        }
    }

    /// Packets that did not fit into the ring.
    pub fn dropped(&mut self) -> u64 {
        if let Ok(stats) = self.capture.stats() {
            self.dropped += u64::from(stats.dropped.wrapping_sub(self.counted));
            self.counted = stats.dropped;
        }
        self.dropped
    }
}

/// A handle of our own for libpcap's socket. libpcap gives a bare number only, so the process hands the socket to itself:
/// what is received is a handle like any other.
fn second_handle(capture: &Capture<Active>) -> io::Result<OwnedFd> {
    const BYTE: [u8; 1] = [0];
    let (here, there) = socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let rights = [ControlMessage::ScmRights(&[capture.as_raw_fd()])];
    let (bytes, flags) = ([IoSlice::new(&BYTE)], MsgFlags::empty());
    sendmsg::<UnixAddr>(here.as_raw_fd(), &bytes, &rights, flags, None)?;
    let mut byte = BYTE;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut received = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [IoSliceMut::new(&mut byte)];
    recvmsg(&there, &mut bytes, &mut received, RecvFlags::CMSG_CLOEXEC)?;
    let handle = received.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut handles) => handles.next(),
        _ => None,
    });
    handle.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
