//! Listening through libpcap: a ring that the kernel fills, and filters in the kernel.

use super::Options;
use super::batch::Batch;
use super::error::LiveError;
use crate::model::{LinkType, Timestamp};
use pcap::{Active, Capture, Precision};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use std::io;
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

/// A handle of our own for libpcap's socket. It gives a bare number only, and the kernel knows whose that is.
fn second_handle(capture: &Capture<Active>) -> io::Result<OwnedFd> {
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    Ok(pidfd_getfd(
        own,
        capture.as_raw_fd(),
        PidfdGetfdFlags::empty(),
    )?)
}
