//! One connection of the kernel's table, marked: what `conntrack -U --mark VALUE/MASK` does, without reading the whole table for it.
//!
//! Messages are those of ctnetlink (`linux/netfilter/nfnetlink_conntrack.h`). The kernel finds a connection by the addresses
//! of either direction, so that one behind NAT is found on both sides of it.

use super::Order;
use super::netlink::{NESTED, attribute, message, outcome, send};
use crate::model::{Endpoint, Transport};
use crate::policy::Mark;
use nix::sys::socket::{MsgFlags, recv, setsockopt, sockopt::ReceiveTimeout};
use nix::sys::time::{TimeVal, TimeValLike};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread::sleep;
use std::time::Duration;

/// `NFNL_SUBSYS_CTNETLINK`, and `IPCTNL_MSG_CT_NEW`: without `NLM_F_CREATE`, a change.
const CHANGE: u16 = 1 << 8;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_MARK: u16 = 8;
const CTA_MARK_MASK: u16 = 21;
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_IP_V4: [u16; 2] = [1, 2];
const CTA_IP_V6: [u16; 2] = [3, 4];
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_PORTS: [u16; 2] = [2, 3];
/// The kernel answers at once; in seconds.
const PATIENCE: i64 = 2;
/// A packet is seen before the kernel has written its connection down.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(5);

/// A way to the kernel's table.
#[derive(Debug)]
pub struct Connections {
    socket: OwnedFd,
    number: u32,
}

impl Connections {
    /// Opens it.
    pub fn open() -> io::Result<Self> {
        let socket = super::netlink::open()?;
        setsockopt(&socket, ReceiveTimeout, &TimeVal::seconds(PATIENCE))?;
        Ok(Self { socket, number: 0 })
    }

    /// Marks a connection. Whether the kernel knows it.
    pub fn mark(&mut self, order: &Order, mark: Mark) -> io::Result<bool> {
        for attempt in 0..TRIES {
            if attempt > 0 {
                sleep(PAUSE);
            }
            if self.mark_now(order.transport, (order.client, order.server), mark)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The same for one that the kernel has written down by now, if it ever will.
    pub fn mark_now(
        &mut self,
        transport: Transport,
        (one, other): (Endpoint, Endpoint),
        mark: Mark,
    ) -> io::Result<bool> {
        for (from, to) in [(one, other), (other, one)] {
            if self.change(transport, from, to, mark)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn change(
        &mut self,
        transport: Transport,
        from: Endpoint,
        to: Endpoint,
        mark: Mark,
    ) -> io::Result<bool> {
        self.number = self.number.wrapping_add(1);
        send(
            &self.socket,
            &change(self.number, transport, from, to, mark),
        )?;
        let mut answer = [0; 4096];
        loop {
            let length = recv(self.socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
            let answer = answer.get(..length).unwrap_or_default();
            // An answer to an earlier question may have come late.
            let Some((number, error)) = outcome(answer) else {
                return Err(io::Error::other("the kernel's answer is none"));
            };
            if number != self.number {
                continue;
            }
            return match -error {
                0 => Ok(true),
                libc::ENOENT => Ok(false),
                error => Err(io::Error::from_raw_os_error(error)),
            };
        }
    }
}

fn address(kinds: ([u16; 2], [u16; 2]), at: usize, ip: IpAddr) -> Vec<u8> {
    let (v4, v6) = kinds;
    match ip {
        IpAddr::V4(ip) => attribute(v4[at], &ip.octets()),
        IpAddr::V6(ip) => attribute(v6[at], &ip.octets()),
    }
}

fn change(number: u32, transport: Transport, from: Endpoint, to: Endpoint, mark: Mark) -> Vec<u8> {
    let kinds = (CTA_IP_V4, CTA_IP_V6);
    let ips = [address(kinds, 0, from.ip), address(kinds, 1, to.ip)].concat();
    let protocol = match transport {
        Transport::Tcp => libc::IPPROTO_TCP as u8,
        Transport::Udp => libc::IPPROTO_UDP as u8,
    };
    let ports = [
        attribute(CTA_PROTO_NUM, &[protocol]),
        attribute(CTA_PROTO_PORTS[0], &from.port.to_be_bytes()),
        attribute(CTA_PROTO_PORTS[1], &to.port.to_be_bytes()),
    ]
    .concat();
    let tuple = [
        attribute(CTA_TUPLE_IP | NESTED, &ips),
        attribute(CTA_TUPLE_PROTO | NESTED, &ports),
    ]
    .concat();
    let attributes = [
        attribute(CTA_TUPLE_ORIG | NESTED, &tuple),
        attribute(CTA_MARK, &mark.value().to_be_bytes()),
        attribute(CTA_MARK_MASK, &mark.mask().to_be_bytes()),
    ]
    .concat();
    let family = if from.ip.is_ipv4() {
        libc::AF_INET as u8
    } else {
        libc::AF_INET6 as u8
    };
    message(CHANGE, number, (family, 0), &attributes)
}
