//! Listening without libpcap: a packet socket that pnet binds. No filter in the kernel, no `any`, and the tags of VLANs
//! are taken off by the kernel.

use super::Options;
use super::batch::Batch;
use super::error::LiveError;
use super::interface::bind;
use crate::model::{LinkType, Timestamp};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce, ReceiveTimestampns, RxqOvfl};
use nix::sys::socket::{
    ControlMessageOwned, LinkAddr, MsgFlags, SockaddrLike, recvmsg, setsockopt,
};
use nix::sys::time::TimeSpec;
use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice, socket_with};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd};

/// Sent by this host. On the loopback interface everything is received as well.
const OUTGOING: u8 = 4;
/// Kinds of hardware, as the kernel numbers them.
mod hardware {
    pub const LOOPBACK: u16 = 772;
    pub const IEEE802_11: u16 = 801;
    pub const RADIOTAP: u16 = 803;
    /// Interfaces whose packets begin with the IP header: PPP, tunnels, TUN.
    pub const BARE_IP: [u16; 6] = [512, 768, 769, 776, 778, 65534];
}

/// A packet socket.
pub struct Tap {
    socket: OwnedFd,
    buffer: Vec<u8>,
    control: Vec<u8>,
    /// The kernel counts with 32 bits.
    counted: u32,
    dropped: u64,
}

impl Tap {
    /// Opens it, with a second handle for its socket.
    pub fn open(name: &str, options: &Options) -> Result<(Self, OwnedFd), LiveError> {
        if options.filter.is_some() {
            return Err(LiveError::NeedsLibpcap { what: "-f" });
        }
        if name == "any" {
            return Err(LiveError::NeedsLibpcap { what: "-i any" });
        }
        let failed = |error: &io::Error| match error.kind() {
            io::ErrorKind::PermissionDenied => LiveError::permission(name),
            _ => LiveError::Open {
                name: name.to_owned(),
                reason: error.to_string(),
            },
        };
        let tap = Self::bound(name, options).map_err(|error| failed(&error))?;
        let socket = tap.socket.try_clone().map_err(|error| failed(&error))?;
        Ok((tap, socket))
    }

    fn bound(name: &str, options: &Options) -> io::Result<Self> {
        // No protocol: nothing is received before it is bound.
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)?;
        let half = options.buffer / 2;
        // As much as the system allows, where it does not allow all of it. (The kernel doubles it.)
        if setsockopt(&socket, RcvBufForce, &half).is_err() {
            setsockopt(&socket, RcvBuf, &half)?;
        }
        setsockopt(&socket, ReceiveTimestampns, &true)?;
        setsockopt(&socket, RxqOvfl, &1)?;
        let index = netdevice::name_to_index(&socket, name)?;
        bind(&socket, name, index, options.promiscuous)?;
        Ok(Self {
            socket,
            buffer: vec![0; options.snap_len as usize],
            control: cmsg_space!(TimeSpec, u32),
            counted: 0,
            dropped: 0,
        })
    }

    /// Fetches at most so many frames, without waiting.
    pub fn read(&mut self, most: usize, batch: &mut Batch) -> io::Result<()> {
        for _ in 0..most {
            match self.read_one(batch) {
                Ok(()) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn read_one(&mut self, batch: &mut Batch) -> Result<(), Errno> {
        let Self {
            socket,
            buffer,
            control,
            counted,
            dropped,
        } = self;
        let mut pieces = [IoSliceMut::new(buffer)];
        // TRUNC: the length is that on the wire, whatever fits into the buffer.
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
        let message = recvmsg::<LinkAddr>(socket.as_raw_fd(), &mut pieces, Some(control), flags)?;
        let mut time = None;
        for said in message.cmsgs()? {
            match said {
                ControlMessageOwned::ScmTimestampns(at) => time = Some(at),
                ControlMessageOwned::RxqOvfl(count) => {
                    *dropped += u64::from(count.wrapping_sub(*counted));
                    *counted = count;
                }
                _ => {}
            }
        }
        let (wire_len, address) = (message.bytes, message.address);
        let Some(address) = address.filter(|it| it.len() > 0) else {
            return Ok(());
        };
        let hardware = address.hatype();
        if hardware == hardware::LOOPBACK && address.pkttype() == OUTGOING {
            return Ok(());
        }
        let link = match hardware {
            hardware::IEEE802_11 => LinkType::IEEE802_11,
            hardware::RADIOTAP => LinkType::RADIOTAP,
            bare if hardware::BARE_IP.contains(&bare) => LinkType::RAW,
            _ => LinkType::ETHERNET,
        };
        let time = time.map_or_else(super::source::now, |at| {
            Timestamp::from_nanos(at.tv_sec() * 1_000_000_000 + at.tv_nsec())
        });
        let data = buffer.get(..wire_len).unwrap_or(buffer);
        batch.push(
            time,
            link,
            data,
            u32::try_from(wire_len).unwrap_or(u32::MAX),
        );
        Ok(())
    }

    /// Packets that did not fit into the socket's buffer, as of the last one that did.
    pub const fn dropped(&mut self) -> u64 {
        self.dropped
    }
}
